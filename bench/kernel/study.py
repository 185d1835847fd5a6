#!/usr/bin/env python3
"""Three questions about what a request costs, each answered on a machine that does nothing else.

    cmake --preset release && cmake --build --preset release
    bench/kernel/study.py pool                      a route on the pool beside one on the loop, and how threads add up
    bench/kernel/study.py latency                   at half of what it can do, beside the bare server
    bench/kernel/study.py compare A=CMD B=CMD ...   any servers: builds, allocators, numbers of loops; ratios to the first

A command of `compare` starts a server that prints `listening on 127.0.0.1:PORT` and answers GET /, as in

    bench/kernel/study.py compare "glibc=build/release/examples/sluice-showcase --listen 127.0.0.1:0 --loops 1 --quiet" \\
      "mimalloc=env LD_PRELOAD=libmimalloc.so.2 build/release/examples/sluice-showcase --listen 127.0.0.1:0 --loops 1 --quiet"

The servers take turns, round by round; a figure is the median of the rounds, and a ratio the median of the rounds' own.
"""
import argparse
import json
import pathlib
import shlex
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))

from asking import CONNECTIONS, MARGIN_SECONDS, WARMUP_SECONDS, closed_loop, cost_of, pinned_server  # noqa: E402
from harness import BUILD, Pinning, commit, program, run_load, run_script  # noqa: E402
from probes import Steal, machine_of  # noqa: E402

HINT = "Build the preset release."
WAIT_SECONDS = 0.010          # of the handler of /wait
THREADS = (2, 4, 8, 16, 32, 64)
COMPARED = {"depth 1": [], "depth 16": ["--depth", "16"], "browser": ["--browser"]}
PERCENTILES = ("p50", "p99", "p999", "max")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=("pool", "latency", "compare"))
    parser.add_argument("servers", nargs="*", metavar="NAME=COMMAND", help="of compare: two or more")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="5")
    parser.add_argument("--seconds", type=float, default=2, metavar="N", help="of each run; 2")
    parser.add_argument("--io", choices=("epoll", "io_uring"), default="epoll", help="of pool and latency; epoll")
    parser.add_argument("--unpinned", action="store_true", help="the kernel places servers and generator")
    parser.add_argument("--build", default=BUILD, type=pathlib.Path, metavar="DIR", help="build/release")
    options = parser.parse_args()
    if not 1 <= options.rounds <= 100:
        parser.error("--rounds: 1 to 100")
    if not 0.5 <= options.seconds <= 600:
        parser.error("--seconds: 0.5 to 600")
    options.named = {}
    for text in options.servers:
        name, equals, command = text.partition("=")
        if not equals or not name or not shlex.split(command):
            parser.error(f"{text!r} is not NAME=COMMAND")
        options.named[name] = shlex.split(command)
    if options.study == "compare" and len(options.named) < 2:
        parser.error("compare: two servers at least")
    if options.study != "compare" and options.named:
        parser.error(f"{options.study} takes no servers")
    return options


class Bench:
    def __init__(self, options):
        self.options, self.pinning = options, Pinning()
        if options.unpinned:
            self.pinning.server = self.pinning.generator = None
            self.pinning.why_not = "as asked"
        self.generator = program(options.build / "bench" / "kernel-load", HINT)

    def cost(self, command, flags):
        """One run on a fresh server, warmed up; `flags` may say another number of connections."""
        def ask(seconds):
            return closed_loop(self.pinning, self.generator, server, seconds,
                               ["--connections", str(CONNECTIONS), *flags])

        with pinned_server(self.pinning, command) as server:
            ask(WARMUP_SECONDS)
            return cost_of(server, lambda: ask(self.options.seconds))

    def open(self, command, path, rate):
        """An open loop at `rate`: latencies of the 2xx in microseconds from when each was due, and whether it counts."""
        with pinned_server(self.pinning, command) as server, tempfile.NamedTemporaryFile(suffix=".json") as out:
            load = [program(self.options.build / "bench" / "sluice-load", HINT), "run", f"http://{server.address}{path}",
                    "-R", str(round(rate)), "-c", "256", "-d", f"{self.options.seconds:g}s", "--warmup", "1s", "-o",
                    out.name]
            run_load(self.pinning.of_generator(load), self.options.seconds + MARGIN_SECONDS)
            result = json.loads(pathlib.Path(out.name).read_text(encoding="utf-8"))
        return {**result["classes"]["2xx"]["latency_us"], "valid": result["valid"],
                "why": "; ".join(result["invalid"])}


def median(runs, key):
    found = [run[key] for run in runs if run[key] is not None]
    return statistics.median(found) if found else float("nan")


def in_turn(bench, commands, measure):
    """Runs of each command, one a round; the order moves on."""
    names, runs = list(commands), {name: [] for name in commands}
    for turn in range(bench.options.rounds):
        for name in names[turn % len(names):] + names[:turn % len(names)]:
            runs[name].append(measure(name))
    return runs


def ratio(runs, name, first, key):
    """The median of the rounds' ratios, and the ratio of the minima."""
    ratios = [run[key] / base[key] for run, base in zip(runs[name], runs[first])]
    return statistics.median(ratios), min(run[key] for run in runs[name]) / min(run[key] for run in runs[first])


def compare_cost(bench, what, commands, flags):
    """Prints and returns the runs; `flags` are those of the generator, for each command."""
    runs = in_turn(bench, commands, lambda name: bench.cost(commands[name], flags(name)))
    first = next(iter(commands))
    for name in commands:
        middle, least = ratio(runs, name, first, "cpu_us")
        print(f"{what:10} {name:16} {median(runs[name], 'cpu_us'):7.2f} us  {middle:5.2f} (minima {least:5.2f})  "
              f"{median(runs[name], 'rps'):9,.0f}/s  {median(runs[name], 'switches'):.3f} switches", flush=True)
    return runs


def study_compare(bench):
    for what, flags in COMPARED.items():
        compare_cost(bench, what, bench.options.named, lambda _, flags=flags: flags)


def pool_server(bench, workers=16):
    return [program(bench.options.build / "bench" / "pool-server", HINT), "--workers", str(workers), "--io",
            bench.options.io]


def print_latencies(bench, what, plans):
    """`plans`: for each name a command, a path and a rate."""
    runs = in_turn(bench, plans, lambda name: bench.open(*plans[name]))
    first = next(iter(plans))
    for name in plans:
        figures = "  ".join(f"{key} {median(runs[name], key):8,.0f}" for key in PERCENTILES)
        late = sorted({run["why"] for run in runs[name] if not run["valid"]})
        times = median(runs[name], "p99") / median(runs[first], "p99")
        print(f"{what:10} {name:16} at {plans[name][2]:9,.0f}/s  {figures} us  p99 {times:.2f} times"
              + (f"  DOES NOT COUNT: {late[0]}" if late else ""), flush=True)


def study_pool(bench):
    command = pool_server(bench)
    both = {"/loop": command, "/pool": command}
    runs = compare_cost(bench, "cost", both, lambda name: ["--path", name])
    half = {name: median(runs[name], "rps") / 2 for name in both}
    print_latencies(bench, "half load", {name: (command, name, half[name]) for name in both})
    for workers in THREADS:
        flags = ["--path", "/wait", "--connections", str(workers + max(1, workers // 4))]
        found = [bench.cost(pool_server(bench, workers), flags)["rps"] for _ in range(min(3, bench.options.rounds))]
        most = workers / WAIT_SECONDS
        print(f"{'threads':10} {workers:2} on 10 ms       {statistics.median(found):9,.0f}/s of {most:6,.0f}/s: "
              f"{statistics.median(found) / most:.1%}", flush=True)


def study_latency(bench):
    showcase = program(bench.options.build / "examples" / "sluice-showcase", HINT)
    commands = {"bare epoll": [program(bench.options.build / "bench" / "kernel-epoll", HINT)],
                "sluice": [showcase, "--listen", "127.0.0.1:0", "--loops", "1", "--quiet", "--io", bench.options.io]}
    runs = compare_cost(bench, "cost", commands, lambda _: [])
    rate = min(median(runs[name], "rps") for name in commands) / 2
    print_latencies(bench, "half load", {name: (command, "/", rate) for name, command in commands.items()})


def main():
    options = arguments()
    bench, machine, steal = Bench(options), machine_of(options.build), Steal()
    print(f"bench/kernel/study.py {shlex.join(sys.argv[1:])}\ncommit {commit()}; {machine['cpu']}, {machine['kernel']}; "
          f"{bench.pinning}; {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())}", flush=True)
    {"pool": study_pool, "latency": study_latency, "compare": study_compare}[options.study](bench)
    print(f"steal {steal.share():.1%}")
    return 0


if __name__ == "__main__":
    run_script(main)
