#!/usr/bin/env python3
"""What a handler's style costs: math-plus-server in every style, with and without middleware, at four rates.

    cmake --preset release && cmake --build --preset release
    bench/scenarios/math_plus/run.py                              twenty minutes, more if runs have to be repeated
    bench/scenarios/math_plus/run.py --tier full                  more than a day: 10 minutes a rate, three times
    bench/scenarios/math_plus/run.py --only 'get.return'          some cells

A cell is one style, one method, one number of middlewares and one backend. Each gets a fresh server, the cells come in
a random order from --seed, and so do the rates within a cell. Writes the results and report.html and table.md to
--out, and the table into the README.md beside this file, unless --only or --no-readme is given.
"""
import argparse
import itertools
import json
import pathlib
import random
import re
import shlex
import statistics
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import (BUILD, ROOT, Failure, Pinning, Server, commit, default_programs, program,  # noqa: E402
                     replace_section, run_load, run_script)

STYLES = ("return", "callback", "later", "pool")
METHODS = ("get", "post")
MIDDLEWARE = (0, 8)
IOS = ("io_uring", "epoll")
RATES = ("10k", "30k", "50k", "60k")
CONNECTIONS = 400
SECONDS = {"quick": 20, "full": 600}
WARMUP_SECONDS = {"quick": 3, "full": 60}
REPLICATES = {"quick": 1, "full": 3}
PAUSE_SECONDS = 2    # between two rates
GRACE_SECONDS = 5    # of sluice-load, for late answers
MARGIN_SECONDS = 60  # for connecting and writing
REPORT_SECONDS = 300
PERCENTILES = ("p50", "p99", "p999", "max")
README = HERE / "README.md"
MARKS = ("<!-- results: begin -->", "<!-- results: end -->")


class Cell:
    """One server and what is asked of it."""

    def __init__(self, style, method, middleware, io):
        self.style, self.method, self.middleware, self.io = style, method, middleware, io

    def name(self):
        layers = f"_mw{self.middleware}" if self.middleware else ""
        return f"math_plus_{self.method}.{self.style}{layers}.{self.io}"

    def row(self):
        return STYLES.index(self.style), METHODS.index(self.method), self.middleware, IOS.index(self.io)

    def request(self, address):
        """Arguments of sluice-load."""
        url = f"http://{address}/{self.style}/math/plus"
        if self.method == "get":
            return [url + "?x=1&y=2"]
        return [url, "--method", "POST", "--header", "Content-Type: application/json", "--body", '{"x":1,"y":2}']


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tier", choices=("quick", "full"), default="quick", help="20 s or 600 s per rate; quick")
    parser.add_argument("--only", metavar="REGEX", help="the cells whose name matches, as 'get.return' or 'post.*mw8'")
    parser.add_argument("--replicates", type=int, metavar="N", help="every cell so often; quick: 1, full: 3")
    parser.add_argument("--again", type=int, default=2, metavar="N",
                        help="how often a run that does not count is repeated, on a fresh server; 2")
    parser.add_argument("--seconds", type=int, metavar="N", help="per rate, in place of the tier's")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the random order; 1")
    parser.add_argument("--out", default=BUILD / "math_plus", type=pathlib.Path, metavar="DIR",
                        help="where results go; build/release/math_plus")
    parser.add_argument("--no-readme", action="store_true", help="leaves the README.md as it is")
    default_programs(parser, "bench/math-plus-server", "that of the release build")
    options = parser.parse_args()
    options.replicates = options.replicates or REPLICATES[options.tier]
    options.seconds = options.seconds or SECONDS[options.tier]
    options.warmup = min(WARMUP_SECONDS[options.tier], options.seconds)
    if not 1 <= options.replicates <= 20:
        parser.error("--replicates: 1 to 20")
    if not 0 <= options.again <= 20:
        parser.error("--again: 0 to 20")
    if not 1 <= options.seconds <= 3600:
        parser.error("--seconds: 1 to 3600")
    return options


def cells_of(options):
    ios = [io for io in IOS if has(options.server, io)]
    cells = [Cell(*axes) for axes in itertools.product(STYLES, METHODS, MIDDLEWARE, ios)]
    if options.tier == "quick":  # one style tells what a layer costs, and what the other backend does
        cells = [cell for cell in cells if cell.style == STYLES[0] or (cell.middleware == 0 and cell.io == ios[0])]
        cells = [cell for cell in cells if cell.middleware == 0 or cell.io == ios[0]]
    cells = [cell for cell in cells if re.search(options.only or "", cell.name())]
    if not cells:
        raise Failure(f"no cell matches {options.only!r}")
    return cells


def has(server, io):
    """Whether it can be had here: epoll always can."""
    try:
        Server([server, "--listen", "127.0.0.1:0", "--loops", "1", "--io", io]).stop()
    except Failure:
        if io == "epoll":
            raise
        return False
    return True


def measure(cell, replicate, rates, options, pinning):
    """A fresh server and all rates, then another for those that do not count. Returns the files of the results."""
    files = []
    for attempt in range(1 + options.again):
        name = str(replicate) if attempt == 0 else f"{replicate} again {attempt}"
        files.append(measure_once(cell, name, rates, options, pinning))
        sweep = json.loads(files[-1].read_text(encoding="utf-8"))
        late = {rate_text(run) for run in sweep["runs"] if not run["valid"]}
        rates = [rate for rate in rates if rate in late]
        if not rates:
            break
    return files


def measure_once(cell, replicate, rates, options, pinning):
    command = pinning.of_server([options.server, "--listen", "127.0.0.1:0", "--loops", "1", "--io", cell.io,
                                 "--middleware", str(cell.middleware)])
    with Server(command) as server:
        name = ".".join(["sluice", cell.name(), "r" + "-".join(r for r in RATES if r in rates),
                         "t1", f"c{CONNECTIONS}", f"d{options.seconds}s", f"rep{replicate}".replace(" ", "-")])
        file = options.out / f"{name}.json"
        load = [options.load, "sweep", *cell.request(server.address), "--rates", ",".join(rates), "-c",
                str(CONNECTIONS), "-t", "1", "-d", f"{options.seconds}s", "--warmup", f"{options.warmup}s", "--pause",
                f"{PAUSE_SECONDS}s", "--grace", f"{GRACE_SECONDS}s", "--pid", str(server.process.pid),
                "--seed", str(options.seed), "--name", f"{cell.name()} {replicate}", "-q", "--color", "never",
                "-o", str(file)]
        run_load(pinning.of_generator(load), len(rates) * seconds_per_rate(options) + MARGIN_SECONDS)
    return file


def seconds_per_rate(options):
    return options.warmup + options.seconds + GRACE_SECONDS + PAUSE_SECONDS


# ---- the table

def milliseconds(microseconds):
    if microseconds is None:
        return "-"
    digits = 2 if microseconds < 10_000 else 1 if microseconds < 100_000 else 0
    return f"{microseconds / 1000:,.{digits}f}"


def middle(values):
    """The median; None if one of them is not known."""
    return None if None in values else statistics.median(values)


def spread(values):
    """The median, and what it lies between if there are several."""
    text = milliseconds(middle(values))
    if len(values) == 1 or None in values:
        return text
    return f"{text} ({milliseconds(min(values))} to {milliseconds(max(values))})"


def verdict_of(runs):
    """Whether they count; the reasons without their figures, which the page has."""
    reasons = list(dict.fromkeys(re.sub(r"( for)? [\d.,]+ .*", "", reason.partition(":")[0]).replace(
        "hypervisor took", "hypervisor took time") for run in runs for reason in run["invalid"]))
    valid = sum(run["valid"] for run in runs)
    if valid == len(runs):
        return "yes" if valid == 1 else f"{valid} of {valid}"
    return f"{'no' if len(runs) == 1 else f'{valid} of {len(runs)}'}: {'; '.join(reasons)}".replace("|", "/")


def row_of(cell, rate, runs):
    counted = [run for run in runs if run["valid"]] or runs  # without a valid run: what was seen, and why it is nothing
    answered = middle([run["answered_rps"] for run in counted])
    errors = middle([run["error_ratio"] for run in counted])
    latency = [spread([run["classes"]["2xx"]["latency_us"][name] for run in counted]) for name in PERCENTILES]
    return [cell.style, cell.method.upper(), str(cell.middleware), cell.io, rate, f"{answered:,.0f}",
            f"{errors * 100:.2f} %", *latency, verdict_of(runs)]


def rate_of(run):
    return run["config"]["rate_rps"]


def rate_text(run):
    return f"{rate_of(run) / 1000:g}k"


def table_of(results):
    """`results`: (cell, sweep) of every replicate."""
    rows = [["style", "method", "middleware", "backend", "rate", "answered/s", "not 2xx", "p50 ms", "p99 ms",
             "p99.9 ms", "max ms", "valid"], ["---"] * 4 + ["---:"] * 7 + ["---"]]
    cells = {cell.name(): cell for cell, _ in results}
    for cell in sorted(cells.values(), key=Cell.row):
        runs = [run for other, sweep in results if other.name() == cell.name() for run in sweep["runs"]]
        for rate in sorted({rate_of(run) for run in runs}):
            of_rate = [run for run in runs if rate_of(run) == rate]
            rows.append(row_of(cell, rate_text(of_rate[0]), of_rate))
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def conditions_of(sweep, options, pinning):
    machine = sweep["environment"]
    times = "once" if options.replicates == 1 else f"{options.replicates} times"
    command = " ".join(["bench/scenarios/math_plus/run.py", *map(shlex.quote, sys.argv[1:])])
    lines = [("command", f"`{command}`"), ("commit", commit()), ("measured", sweep["started_at"]),
             ("processor", f"{machine['cpu']}, {machine['cpus']} to be had; {pinning}"),
             ("mitigations", machine["mitigations"]), ("kernel", machine["kernel"]),
             ("compiler", f"{machine['compiler']}, {machine['build']}"),
             ("load", f"{CONNECTIONS} connections, constant arrival; at each rate {options.warmup} s of warm-up and "
                      f"{options.seconds} s measured, {times}; what did not count again, up to {options.again} times"),
             ("order", f"random, seed {options.seed}, a fresh server for each cell")]
    return "\n".join(f"* {name}: {value}" for name, value in lines if value)


def main():
    options = arguments()
    options.load = program(options.load, "Build the preset release, or name it with --load.")
    options.server = program(options.server, "Build the preset release, or name it with --server.")
    cells = cells_of(options)
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    pinning = Pinning()
    order = random.Random(options.seed)
    plan = list(itertools.product(range(1, options.replicates + 1), cells))
    order.shuffle(plan)
    minutes = len(plan) * len(RATES) * seconds_per_rate(options) / 60
    print(f"{len(plan)} servers, {len(RATES)} rates each: at most {minutes:,.0f} minutes; {pinning}", flush=True)

    results, files = [], []
    for number, (replicate, cell) in enumerate(plan, 1):
        began = time.monotonic()
        measured = measure(cell, replicate, order.sample(RATES, len(RATES)), options, pinning)
        sweeps = [json.loads(file.read_text(encoding="utf-8")) for file in measured]
        results.extend((cell, sweep) for sweep in sweeps)
        files.extend((cell.row(), replicate, str(file)) for file in measured)
        repeated = sum(len(sweep["runs"]) for sweep in sweeps[1:])
        invalid = sum(not run["valid"] for run in sweeps[-1]["runs"])
        print(f"{number:3} of {len(plan)}  {cell.name()} {replicate}: {time.monotonic() - began:.0f} s"
              + (f", {repeated} repeated" if repeated else "") + (f", {invalid} invalid" if invalid else ""), flush=True)

    page = options.out / "report.html"
    run_load([options.load, "report", *(file for *_, file in sorted(files)), "--html", str(page)], REPORT_SECONDS)
    section = f"{conditions_of(results[0][1], options, pinning)}\n\n{table_of(results)}"
    (options.out / "table.md").write_text(section + "\n", encoding="utf-8")
    print(f"{page}\n{options.out / 'table.md'}")
    if not options.only and not options.no_readme:
        replace_section(README, MARKS, section)
        print(README.relative_to(ROOT))
    return 0


if __name__ == "__main__":
    run_script(main)
