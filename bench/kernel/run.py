#!/usr/bin/env python3
"""What a request costs sluice beside what it costs a server that does nothing: the bare servers of this folder answer
each head with fixed bytes, so the rest is sluice's own.

    cmake --preset release && cmake --build --preset release
    bench/kernel/run.py                                        twenty minutes
    bench/kernel/run.py --rounds 1 --seconds 1 --only depth-1  a first look
    bench/kernel/run.py --peers                                beside other HTTP servers as well, an hour

Each server answers each request rightly once before anything is measured. Each run has a fresh server, warmed up; the
servers take turns, and the order moves on from round to round. The figure is the server's processor time per request,
as the kernel's scheduler counts it: it depends little on how fast the generator is, and the ratio to the bare server of
the same round little on how fast the machine is. Writes results.json and table.md to --out.
"""
import argparse
import contextlib
import json
import pathlib
import re
import resource
import shlex
import shutil
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))
sys.path.insert(0, str(HERE.parent / "scenarios" / "overload"))

from asking import CONNECTIONS, WARMUP_SECONDS, closed_loop, cost_of, pinned_server, run_generator  # noqa: E402
from harness import BUILD, Failure, Pinning, Server, commit, program, run_script  # noqa: E402
from lab import raise_descriptors  # noqa: E402
from peers import PEERS, why_missing  # noqa: E402
from probes import Steal, call_counter, machine_of, resident_bytes  # noqa: E402
from table import Found, page, ratios  # noqa: E402
from workloads import IDLE, WORKLOADS, check_answers  # noqa: E402

IDLE_COUNT = 10_000
WARMUP_REQUESTS = 2_000  # before memory is looked at: a ring of buffers has been used all round
COUNT_SECONDS = 1       # of the run in which system calls are counted
BARE = "bare epoll"     # everything is compared with it


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default=BUILD, type=pathlib.Path, metavar="DIR", help="build/release")
    parser.add_argument("--only", action="append", choices=[*WORKLOADS, IDLE], metavar="WORKLOAD",
                        help=f"may be repeated: {', '.join([*WORKLOADS, IDLE])}")
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="through all servers; 7, of use from 5")
    parser.add_argument("--seconds", type=float, default=4, metavar="N", help="of each run; 4")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where results go; kernel in --build")
    parser.add_argument("--peers", nargs="?", const="", metavar="NAMES",
                        help=f"also these servers, with commas between; without names all there are: {', '.join(PEERS)}")
    options = parser.parse_args()
    options.named = [] if not options.peers else list(dict.fromkeys(options.peers.split(",")))
    for name in options.named:
        if name not in PEERS:
            parser.error(f"--peers: {name!r} is none of {', '.join(PEERS)}")
    if not 1 <= options.rounds <= 100:
        parser.error("--rounds: 1 to 100")
    if not 0.5 <= options.seconds <= 600:
        parser.error("--seconds: 0.5 to 600")
    options.build = options.build.resolve()
    options.out = (options.out or options.build / "kernel").resolve()
    return options


# ---- servers and loads

class Bench:
    def __init__(self, options):
        self.options, self.pinning = options, Pinning()
        hint = "Build the preset release."
        self.generator = program(options.build / "bench" / "kernel-load", hint)
        showcase = program(options.build / "examples" / "sluice-showcase", hint)
        common = [showcase, "--listen", "127.0.0.1:0", "--loops", "1", "--quiet"]
        self.commands = {BARE: [program(options.build / "bench" / "kernel-epoll", hint)],
                         "bare io_uring": [str(options.build / "bench" / "kernel-io-uring")],
                         "sluice epoll": [*common, "--io", "epoll"], "sluice io_uring": [*common, "--io", "io_uring"]}
        self.missing = {}
        for name in ("bare io_uring", "sluice io_uring"):
            self.try_out(name)
        self.versions = {}
        if options.peers is not None:
            for name in options.named or PEERS:
                self.add_peer(name)
        self.counter = call_counter()

    def try_out(self, name):
        """Leaves out what does not start, and keeps the reason."""
        command = self.commands[name]
        if not pathlib.Path(command[0]).is_file():
            self.missing[name] = "not built, as liburing is missing"
        else:
            try:
                Server(command).stop()
            except Failure as failure:
                said = str(failure).strip().split("\n")[-1]
                self.missing[name] = f"not part of this build ({said})" if "part of this build" in said else said
        if name in self.missing:
            del self.commands[name]

    def add_peer(self, name):
        """One that is not there is left out, unless it was asked for by its name."""
        command = PEERS[name].command(self.options.build)
        if command is None:
            if self.options.named:
                raise Failure(f"{name}: {why_missing(name)}")
            self.missing[name] = why_missing(name)
            return
        server = Server(command)
        try:
            version = re.search(r"^version (.+)$", server.text(), re.MULTILINE)
        finally:
            server.stop()
        if version is None:
            raise Failure(f"{shlex.join(command)} does not say its version")
        self.commands[name], self.versions[name] = command, version.group(1)

    def lacks(self, name):
        """Why it is not asked, for each workload that it is not."""
        return PEERS[name].lacks if name in self.versions else {}

    def takers(self, key):
        return [name for name in self.commands if key not in self.lacks(name)]

    def warm_up(self, name, workload, server):
        self.load(workload, server, PEERS[name].warmup_seconds if name in self.versions else WARMUP_SECONDS)

    def check(self, keys):
        """That each server does what it is to be measured with."""
        for key in keys:
            for name in self.takers(key):
                with self.server(name, WORKLOADS[key]) as server:
                    check_answers(name, server.address, WORKLOADS[key], name.startswith("bare"))

    def server(self, name, workload):
        flags = workload.bare if name.startswith("bare") else []
        return pinned_server(self.pinning, [*self.commands[name], *flags])

    def load(self, workload, server, seconds):
        """Asks for `seconds`; what the generator reports."""
        if workload.load is not None:
            flags = ["--connections", str(CONNECTIONS), *workload.load]
            return closed_loop(self.pinning, self.generator, server, seconds, flags)
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}", "-H", "Connection: close",
                   f"http://{server.address}/"]
        said = run_generator(self.pinning, command, seconds, server)
        found = re.search(r"(\d+) requests in ([\d.]+)s", said)
        if found is None or "Non-2xx" in said:
            raise Failure(f"{shlex.join(command)} said: {said.strip()}")
        return {"requests": int(found.group(1)), "seconds": float(found.group(2))}


# ---- measurements

def measure(bench, name, workload):
    """One run: what a request cost."""
    steal = Steal()
    with bench.server(name, workload) as server:
        bench.warm_up(name, workload, server)
        cost = cost_of(server, lambda: bench.load(workload, server, bench.options.seconds))
    return {**cost, "steal": steal.share()}


def count_calls(bench, name, workload):
    """System calls per request, in a run of its own; None if this machine has nothing to count them with."""
    if bench.counter is None:
        return None
    with bench.server(name, workload) as server:
        bench.warm_up(name, workload, server)
        with bench.counter(server.process.pid) as counter:
            report = bench.load(workload, server, COUNT_SECONDS)
    return None if counter.calls is None else counter.calls / report["requests"]


def ask_once(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nHost: idle.test\r\n\r\n")
    answer = b""
    while not answer.endswith(b"Hello, World!"):
        received = connection.recv(4096)
        if not received:
            raise Failure("an idle connection was closed")
        answer += received


def idle_count():
    """IDLE_COUNT, or what a server takes under this machine's limit on descriptors: half of it."""
    return min(IDLE_COUNT, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 2)


def idle_memory(bench, name):
    """Resident bytes per connection, each of which has asked once. What the kernel holds for it is not in it."""
    with bench.server(name, WORKLOADS["depth-1"]) as server, contextlib.ExitStack() as kept:
        host, port = server.address.rsplit(":", 1)

        def connect():
            connection = kept.enter_context(socket.create_connection((host, int(port)), 20))
            ask_once(connection)
            return connection

        first = connect()
        for _ in range(WARMUP_REQUESTS):
            ask_once(first)
        before = resident_bytes(server.process.pid)
        others = idle_count() - 1
        for _ in range(others):
            connect()
        return (resident_bytes(server.process.pid) - before) / others


def measure_all(bench, keys):
    """For each workload and each server its runs, one of each round."""
    names, rounds = list(bench.commands), bench.options.rounds
    results = {key: {name: [] for name in bench.takers(key)} for key in keys}
    for turn in range(rounds):
        order = names[turn % len(names):] + names[:turn % len(names)]
        for key in keys:
            for name in [name for name in order if name in results[key]]:
                run = measure(bench, name, WORKLOADS[key])
                results[key][name].append(run)
                print(f"{turn + 1} of {rounds}  {key:14}  {name:15} {run['cpu_us']:7.2f} us  "
                      f"{run['rps']:9,.0f}/s  steal {run['steal']:.1%}", flush=True)
    return results


def measure_idle(bench):
    idle = {}
    for name in bench.takers(IDLE):
        idle[name] = [idle_memory(bench, name)]
        print(f"{IDLE}  {name:15} {idle[name][-1]:,.0f} bytes", flush=True)
    return idle


def conditions(bench, machine, began, steals):
    """What the figures can't be read without, as lines of (what, value)."""
    options = bench.options
    command = " ".join(["bench/kernel/run.py", *map(shlex.quote, sys.argv[1:])])
    counter = bench.counter.NAME if bench.counter else "neither perf nor strace can be used here"
    lines = [("command", f"`{command}`"), ("commit", commit()),
             ("measured", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))),
             ("processor", f"{machine['cpu']}, {machine['cpus']} to be had; {bench.pinning}"),
             ("kernel", machine["kernel"]), ("compiler", f"{machine['compiler']}, {machine['build']}"),
             ("load", f"{CONNECTIONS} connections, a closed loop; {options.seconds:g} s after {WARMUP_SECONDS:g} s of "
                      f"warm-up, {options.rounds} rounds in turn; targets and fields differ from request to request"),
             ("system calls", counter), ("steal", f"{max(steals, default=0):.1%} at most, load average at the start "
                                                  f"{machine['load_average'][0]:.1f}")]
    if bench.versions:
        lines.append(("peers", ", ".join(bench.versions.values())))
    lines += [(f"warm-up of {name}", f"{PEERS[name].warmup_seconds:g} s") for name in bench.versions
              if PEERS[name].warmup_seconds != WARMUP_SECONDS]
    return lines + list(bench.missing.items())


def main():
    options = arguments()
    chosen = [key for key in [*WORKLOADS, IDLE] if not options.only or key in options.only]
    if "new-connection" in chosen and shutil.which("wrk") is None:
        raise Failure("wrk is missing. cmake/setup.sh installs it.")
    options.out.mkdir(parents=True, exist_ok=True)
    raise_descriptors()
    bench, began, machine = Bench(options), time.time(), machine_of(options.build)
    print(f"commit {commit()}; {bench.pinning}", flush=True)
    for name, said in [*bench.versions.items(), *bench.missing.items()]:
        print(f"{name}: {said}", flush=True)

    workloads = [key for key in chosen if key != IDLE]
    bench.check(workloads)
    results = measure_all(bench, workloads)
    idle = measure_idle(bench) if IDLE in chosen else {}
    calls = {key: {name: count_calls(bench, name, WORKLOADS[key]) for name in results[key]} for key in workloads}

    steals = [run["steal"] for of_server in results.values() for runs in of_server.values() for run in runs]
    lacks = {name: {key: why for key, why in bench.lacks(name).items() if key in chosen} for name in bench.commands}
    (options.out / "results.json").write_text(json.dumps(
        {"commit": commit(), "began": began, "machine": machine, "pinning": str(bench.pinning),
         "rounds": options.rounds, "seconds": options.seconds, "missing": bench.missing, "peers": bench.versions,
         "lacks": lacks, "runs": results,
         "ratios": {key: {name: ratios(of_server, name, BARE) for name in of_server}
                    for key, of_server in results.items()},
         "system_calls": calls, "idle_bytes": idle}, indent=1), encoding="utf-8")
    section = page(conditions(bench, machine, began, steals), Found(results, calls, idle, lacks, idle_count()), BARE)
    (options.out / "table.md").write_text(section + "\n", encoding="utf-8")
    print(f"\n{section}\n\n{options.out / 'table.md'}")
    return 0


if __name__ == "__main__":
    run_script(main)
