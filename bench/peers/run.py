#!/usr/bin/env python3
"""sluice beside other C++ libraries, with the same work and the same load: what is left of each at 1 to 10 times its
capacity.

    cmake/setup.sh peers                                         installs the others
    cmake --preset release && cmake --build --preset release
    bench/peers/run.py                                           half an hour
    bench/peers/run.py --rounds 1 --seconds 5 --no-readme        a first look

Every run has a fresh server, the servers take turns, and each round goes through all of them again. A peer that is not
built is left out, and the page says so. Writes results.json and table.md to --out, and the table into bench/README.md.
"""
import argparse
import contextlib
import json
import pathlib
import re
import shlex
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))
sys.path.insert(0, str(HERE.parent / "scenarios" / "overload"))

from harness import (BUILD, ROOT, Failure, Pinning, Server, commit, program, replace_section, run_load,  # noqa: E402
                     run_script)
from lab import CONNECTIONS, MARGIN_SECONDS, PATIENCE_MS, Result, clients, raise_descriptors  # noqa: E402

THREADS = 16
SLEEP_CAPACITY = THREADS * 1000 / 20  # of /sleep?ms=20 on 16 threads or permits
TIMES = {"sleep": (0.8, 1, 2, 5, 10), "spin": (2, 5, 10)}
TARGETS = {"sleep": "/sleep?ms=20", "spin": "/spin?us=1000", "hello": "/"}
PEERS = {"sluice": ["examples/sluice-showcase", "--listen", "127.0.0.1:0", "--loops", "1", "--quiet"],
         "cpp-httplib": ["bench/peer-httplib"], "Boost.Beast": ["bench/peer-beast"]}
README = HERE.parent / "README.md"
MARKS = ("<!-- peers: begin -->", "<!-- peers: end -->")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="through all of them; 3")
    parser.add_argument("--seconds", type=float, default=15, metavar="N", help="of each run; 15")
    parser.add_argument("--build", default=BUILD, type=pathlib.Path, metavar="DIR", help="build/release")
    parser.add_argument("--out", default=BUILD / "peers", type=pathlib.Path, metavar="DIR",
                        help="where results go; build/release/peers")
    parser.add_argument("--no-readme", action="store_true", help="leaves bench/README.md as it is")
    options = parser.parse_args()
    if not 1 <= options.rounds <= 20:
        parser.error("--rounds: 1 to 20")
    if not 0.5 <= options.seconds <= 3600:
        parser.error("--seconds: 0.5 to 3600")
    return options


class Peer(contextlib.AbstractContextManager):
    """A server from its start to its end, by force if it must be: some wait for all that they have taken in."""

    def __init__(self, bench, name):
        self.name, self.server = name, Server(bench.pinning.of_server(bench.commands[name]))

    def __enter__(self):
        return self.server

    def __exit__(self, *_):
        self.server.stop()


class Bench:
    def __init__(self, options, pinning):
        self.options, self.pinning = options, pinning
        self.load_program = program(options.build / "bench" / "sluice-load", "Build the preset release.")
        self.commands, self.missing = {}, []
        for name, (file, *flags) in PEERS.items():
            if (options.build / file).is_file():
                self.commands[name] = [str(options.build / file), *flags]
            else:
                self.missing.append(name)
        if "sluice" in self.missing:
            raise Failure("sluice-showcase is missing. Build the preset release.")
        self.versions = {name: self.version(name) for name in self.commands}

    def version(self, name):
        with Peer(self, name) as server:
            found = re.search(r"^version \S+ (.+)$", server.text(), re.MULTILINE)
        if found:
            return found.group(1)
        return re.search(r'VERSION "([^"]+)"', (ROOT / "include/sluice/version.hpp").read_text(encoding="utf-8"))[1]

    def load(self, peer, work, kind, seconds, warmup=2):
        """Of a fresh server; once more, twice at most, if the generator says that the run does not count."""
        for attempt in range(3):
            with Peer(self, peer) as server:
                stem = f"{peer}.{work}.{kind['name']}"
                scenario, result = self.options.out / f"{stem}.scenario.json", self.options.out / f"{stem}.json"
                scenario.write_text(json.dumps({"name": stem, "url": f"http://{server.address}/",
                                                "duration": f"{seconds * 1000:.0f}ms", "warmup": f"{warmup}s",
                                                "grace": "1s", "clients": [kind]}), encoding="utf-8")
                command = [self.load_program, "run", "--scenario", str(scenario), "--pid",
                           str(server.process.pid), "-o", str(result), "-q", "--color", "never"]
                run_load(self.pinning.of_generator(command), warmup + seconds + MARGIN_SECONDS)
            measured = Result(result.read_text(encoding="utf-8"), None, None)
            measured.repeated = attempt
            if not measured.invalid:
                break
        return measured


def measure(bench, peer, work, times, capacity):
    """One row's figures, of one run."""
    if work == "hello":
        kind = clients(TARGETS[work], name="closed", connections=THREADS)
        result = bench.load(peer, work, kind, bench.options.seconds)
        goodput, offered = result.run["goodput_rps"], None
    else:
        kind = clients(TARGETS[work], capacity * times, f"{times}x", give_up_after=f"{PATIENCE_MS}ms")
        result = bench.load(peer, work, kind, bench.options.seconds)
        goodput, offered = result.goodput(), result.offered
    refused = result.count("503") + result.count("429")
    return {"offered": offered, "goodput": goodput, "refused": refused / max(1, result.planned),
            "gave_up": (result.count("gave_up") + result.count("unanswered")) / max(1, result.planned),
            "p50_us": result.quantile("2xx", 0.5), "p99_us": result.quantile("2xx", 0.99),
            "invalid": result.invalid, "repeated": result.repeated, "environment": result.run["environment"]}


def plan(bench):
    """(work, times, capacity), lightest first. What a core can spin is the same for all: measured on sluice."""
    spin = bench.load("sluice", "spin", clients(TARGETS["spin"], name="closed", connections=4), 5).run["goodput_rps"]
    steps = [("hello", None, None)]
    steps += [("sleep", times, SLEEP_CAPACITY) for times in TIMES["sleep"]]
    return steps + [("spin", times, spin) for times in TIMES["spin"]]


# ---- the table

def middle(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def spread(values, scale=1.0, digits=0):
    values = [value * scale for value in values if value is not None]
    if not values:
        return "-"
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def row_of(bench, peer, step, runs):
    work, times, capacity = step
    whole = None if capacity is None else min(capacity, capacity * times)
    kept = "-" if whole is None else f"{middle([run['goodput'] for run in runs]) / whole * 100:.0f} %"
    valid = sum(not run["invalid"] for run in runs)
    return [f"`{TARGETS[work]}`", "closed loop" if times is None else f"{times}x", f"{peer} {bench.versions[peer]}",
            spread([run["goodput"] for run in runs]), kept, spread([run["refused"] for run in runs], 100) + " %",
            spread([run["gave_up"] for run in runs], 100) + " %", spread([run["p50_us"] for run in runs], 1e-3, 1),
            spread([run["p99_us"] for run in runs], 1e-3, 1), f"{valid} of {len(runs)}"]


def table_of(bench, results):
    lines = [["request", "offered", "server", "goodput/s", "of what could be done", "refused", "gave up", "2xx p50 ms",
              "2xx p99 ms", "valid"], ["---"] * 3 + ["---:"] * 6 + ["---"]]
    lines += [row_of(bench, peer, step, runs) for step, of_step in results.items() for peer, runs in of_step.items()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def conditions_of(bench, machine, began):
    options = bench.options
    command = " ".join(["bench/peers/run.py", *map(shlex.quote, sys.argv[1:])])
    lines = [("command", f"`{command}`"), ("commit", commit()),
             ("measured", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))),
             ("processor", f"{machine['cpu']}, {machine['cpus']} to be had; {bench.pinning}"),
             ("kernel", machine["kernel"]), ("compiler", f"{machine['compiler']}, {machine['build']}"),
             ("load", f"at least {CONNECTIONS} kept connections, Poisson arrival, clients give up after "
                      f"{PATIENCE_MS} ms; 2 s of warm-up and {options.seconds:g} s measured, {options.rounds} rounds in turn; a "
                      f"closed loop has {THREADS} connections"),
             ("left out, as not installed", ", ".join(bench.missing))]
    return "\n".join(f"* {name}: {value}" for name, value in lines if value)


def main():
    options = arguments()
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    raise_descriptors()
    pinning = Pinning()
    bench, began = Bench(options, pinning), time.time()
    print(f"commit {commit()}; {pinning}; " + ", ".join(f"{name} {version}" for name, version in bench.versions.items())
          + (f"; not built: {', '.join(bench.missing)}" if bench.missing else ""), flush=True)

    steps = plan(bench)
    results = {step: {peer: [] for peer in bench.commands} for step in steps}
    for turn in range(options.rounds):
        for step in steps:
            peers = list(bench.commands)
            for peer in peers[turn % len(peers):] + peers[:turn % len(peers)]:
                run = measure(bench, peer, *step)
                results[step][peer].append(run)
                print(f"{turn + 1} of {options.rounds}  {TARGETS[step[0]]:14} {step[1] or 'closed'}x  {peer:12} "
                      f"{run['goodput']:,.0f}/s{'  INVALID' if run['invalid'] else ''}", flush=True)

    machine = results[steps[0]]["sluice"][0]["environment"]
    (options.out / "results.json").write_text(
        json.dumps([{"work": work, "times": times, "peer": peer, "runs": runs}
                    for (work, times, _), of_step in results.items() for peer, runs in of_step.items()], indent=1),
        encoding="utf-8")
    section = f"{conditions_of(bench, machine, began)}\n\n{table_of(bench, results)}"
    (options.out / "table.md").write_text(section + "\n", encoding="utf-8")
    print(options.out / "table.md")
    if not options.no_readme:
        replace_section(README, MARKS, section)
        print(README.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    run_script(main)
