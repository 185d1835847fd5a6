#!/usr/bin/env python3
"""What overload does to a server: each promise as an experiment with a line that it passes or fails.

    cmake --preset release && cmake --build --preset release
    bench/scenarios/overload/run.py                        all of them; about an hour
    bench/scenarios/overload/run.py --quick                a first look, about five minutes
    bench/scenarios/overload/run.py --only steady --only burst
    bench/scenarios/overload/run.py --only double_answer --server build/tsan/bench/overload-server
    bench/scenarios/overload/run.py --list

Writes results.json and table.md to --out, and the table into the README.md beside this file after a whole run; --only
replaces its experiments' rows there and says so. Ends with 1 if a line fails.
"""
import argparse
import dataclasses
import json
import pathlib
import shlex
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

import neighbours  # noqa: E402
import promises  # noqa: E402
import rates  # noqa: E402
import soak  # noqa: E402
from harness import (BUILD, ROOT, Failure, Pinning, commit, default_programs, replace_section,  # noqa: E402
                     run_script)
from lab import Check, Lab, Missing, Row, Scale, raise_descriptors  # noqa: E402

EXPERIMENTS = {
    "steady": (rates.steady, "goodput at 1 to 10 times the capacity"),
    "cpu": (rates.cpu, "the same where the processor is the bottleneck, and what a refusal costs"),
    "dead_work": (promises.dead_work, "does work start that nobody waits for any more?"),
    "queue_bound": (promises.queue_bound, "is the queue bounded while nothing gets done?"),
    "burst": (rates.burst, "how soon after a burst is everything as before?"),
    "retry_storm": (rates.retry_storm, "do clients that try again keep an overload alive?"),
    "bulkhead": (neighbours.bulkhead, "does a route notice that another one is stuck?"),
    "disconnect": (promises.disconnect, "does work run whose clients have left?"),
    "slow_loris": (neighbours.slow_loris, "do a thousand heads that never end harm anyone?"),
    "slow_readers": (neighbours.slow_readers, "do a thousand readers that hardly read harm anyone?"),
    "double_answer": (promises.double_answer, "exactly one answer, even if two are ready at once?"),
    "uneven": (neighbours.uneven, "does one greedy client take what nine polite ones need?"),
    "criticality": (neighbours.criticality, "is what matters refused last?"),
    "loop_lag": (rates.loop_lag, "does the loop stay quick while all that blocks is hammered?"),
    "soak": (soak.soak, "does anything grow or leak?"),
}
README = HERE / "README.md"
MARKS = ("<!-- results: begin -->", "<!-- results: end -->")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=EXPERIMENTS, metavar="NAME", help="may be repeated")
    parser.add_argument("--list", action="store_true", help="the experiments and their questions, nothing else")
    parser.add_argument("--quick", action="store_true", help="short runs: a first look")
    parser.add_argument("--smoke", action="store_true",
                        help="a second each; judges only what does not depend on the machine's speed")
    parser.add_argument("--seconds", type=float, metavar="N", help="of each load that has no length of its own; 20")
    parser.add_argument("--minutes", type=float, default=30, metavar="N", help="of the soak; 30")
    parser.add_argument("--out", default=BUILD / "overload", type=pathlib.Path, metavar="DIR",
                        help="where results go; build/release/overload")
    parser.add_argument("--no-readme", action="store_true", help="leaves the README.md as it is")
    parser.add_argument("--showcase", default=BUILD / "examples" / "sluice-showcase", type=pathlib.Path,
                        metavar="FILE", help="sluice-showcase; that of the release build")
    default_programs(parser, "bench/overload-server", "that of the release build")
    options = parser.parse_args()
    if options.seconds is not None and not 0.5 <= options.seconds <= 3600:
        parser.error("--seconds: 0.5 to 3600")
    if not 0.1 <= options.minutes <= 7 * 24 * 60:
        parser.error("--minutes: 0.1 to 10080")
    return options


# ---- the table

def milliseconds(part):
    if not part or part.get("p50_us") is None:
        return "-"
    return " / ".join(f"{part[name] / 1000:,.1f}" if part[name] is not None else "-" for name in ("p50_us", "p99_us"))


def number(value, unit=""):
    return "-" if value is None else f"{value:,.0f}{unit}"


def refused_text(row):
    if not row.received:
        return "-"
    return ", ".join(f"{reason} {count / row.received * 100:.1f} %" for reason, count in row.refused.items()
                     if count / row.received >= 0.0005) or "none"


def verdict(row, smoke):
    state = row.state(smoke).replace("NOISY", "PASS (noisy)")
    if row.invalid:
        state += f"; does not count: {'; '.join(row.invalid)}"
    if row.repeated:
        state += f"; made again {row.repeated} {'time' if row.repeated == 1 else 'times'}"
    return state


def cells_of(row, smoke):
    return [row.experiment, row.case, number(row.offered), number(row.admitted and row.admitted * 100, " %"),
            number(row.goodput), refused_text(row), milliseconds(row.classes.get("2xx")),
            milliseconds(row.classes.get("503")), milliseconds(row.floor),
            "<br>".join(f"{'' if check.state == 'PASS' else f'**{check.state}** '}{check}" for check in row.checks),
            verdict(row, smoke)]


def table_of(rows, smoke):
    lines = [["experiment", "case", "offered/s", "admitted", "goodput/s", "refused", "2xx p50 / p99 ms",
              "503 p50 / p99 ms", "floor p50 / p99 ms", "judged by", "verdict"],
             ["---"] * 2 + ["---:"] * 3 + ["---"] + ["---:"] * 3 + ["---"] * 2]
    lines += [[cell.replace("|", "/") for cell in cells_of(row, smoke)] for row in rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine_of(out):
    """What sluice-load found, from one of its results."""
    for file in sorted(out.glob("*.result.json")):
        return json.loads(file.read_text(encoding="utf-8"))["environment"]
    return {"cpu": "unknown", "cpus": 0, "mitigations": "", "kernel": "unknown", "compiler": "unknown", "build": ""}


def conditions_of(options, pinning, began):
    machine = machine_of(options.out)
    command = " ".join(["bench/scenarios/overload/run.py", *map(shlex.quote, sys.argv[1:])])
    lines = [("command", f"`{command}`"), ("commit", commit()),
             ("measured", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))),
             ("processor", f"{machine['cpu']}, {machine['cpus']} to be had; {pinning}"),
             ("mitigations", machine["mitigations"]), ("kernel", machine["kernel"]),
             ("compiler", f"{machine['compiler']}, {machine['build']}")]
    return "\n".join(f"* {name}: {value}" for name, value in lines if value)


def replace_rows(names, rows, smoke, began):
    """Puts the rows of some experiments in the place of their old ones in the README.md's table."""
    text = README.read_text(encoding="utf-8")
    begin, end = (text.find(mark) for mark in MARKS)
    old = text[begin + len(MARKS[0]):end].strip().splitlines()
    fresh = dict.fromkeys(names, ())
    for name in names:
        fresh[name] = table_of([row for row in rows if row.experiment == name], smoke).splitlines()[2:]
    lines, noted, known = [], False, set()
    for line in old:
        name = line.split("|")[1].strip() if line.startswith("| ") else ""
        if name in fresh:
            lines += fresh[name] if name not in known else ()
            known.add(name)
            continue
        if not line and not noted:
            when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))
            lines.append(f"* made again: {', '.join(names)}, at {commit()}, {when}")
            noted = True
        lines.append(line)
    if known != set(names):
        raise Failure(f"{README} has no rows yet for {', '.join(sorted(set(names) - known))}: make a whole run first")
    replace_section(README, MARKS, "\n".join(lines))


# ---- running

def say(row, smoke, took_s):
    print(f"{row.experiment} ({row.case}), {took_s:.0f} s: {verdict(row, smoke)}")
    print(f"  offered {number(row.offered)}/s, admitted {number(row.admitted and row.admitted * 100, ' %')}, goodput "
          f"{number(row.goodput)}/s; refused: {refused_text(row)}")
    for outcome, part in row.classes.items():
        print(f"  {outcome:13} {part['count']:>10,}  p50 / p99 {milliseconds(part)} ms")
    if row.floor:
        print(f"  {'floor':13} {number(row.floor.get('rate')):>8}/s  p50 / p99 {milliseconds(row.floor)} ms")
    for check in row.checks:
        print(f"  {check.state if check.exact or not smoke else 'unjudged':8} {check}")
    for note in row.notes:
        print(f"  {note}")
    sys.stdout.flush()


def run_one(lab, name, smoke):
    """The rows of an experiment; one that could not be made is a row that failed."""
    rows, began = [], time.monotonic()
    try:
        for row in EXPERIMENTS[name][0](lab):
            rows.append(row)
            say(row, smoke, time.monotonic() - began)
            began = time.monotonic()
    except Failure as why:
        # What the library has not got is no matter of whether everything runs.
        check = Check("it could be made", str(why), "must hold", "FAIL", exact=not isinstance(why, Missing))
        rows.append(Row(name, "not finished", checks=[check]))
        say(rows[-1], smoke, time.monotonic() - began)
    return rows


def main():
    options = arguments()
    if options.list:
        for name, (_, question) in EXPERIMENTS.items():
            print(f"{name:14} {question}")
        return 0
    scale = Scale("smoke" if options.smoke else "quick" if options.quick else "full", options.seconds)
    smoke = scale.name == "smoke"
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    raise_descriptors()
    pinning = Pinning()
    lab = Lab(options, pinning, scale)
    began = time.time()
    print(f"commit {commit()}; {pinning}", flush=True)

    names = options.only or list(EXPERIMENTS)
    rows = [row for name in EXPERIMENTS if name in names for row in run_one(lab, name, smoke)]

    results = [dataclasses.asdict(row) | {"state": row.state(smoke)} for row in rows]
    (options.out / "results.json").write_text(
        json.dumps({"schema": "sluice-overload/1", "scale": scale.name, "commit": commit(), "rows": results}, indent=1),
        encoding="utf-8")
    section = f"{conditions_of(options, pinning, began)}\n\n{table_of(rows, smoke)}"
    (options.out / "table.md").write_text(section + "\n", encoding="utf-8")
    failed = [row for row in rows if row.state(smoke) == "FAIL"]
    print(f"{len(rows) - len(failed)} of {len(rows)} passed; {options.out / 'table.md'}")
    if scale.name == "full" and not options.no_readme:
        if options.only:
            replace_rows([name for name in EXPERIMENTS if name in options.only], rows, smoke, began)
        else:
            replace_section(README, MARKS, section)
        print(README.relative_to(ROOT))
    return 1 if failed else 0


if __name__ == "__main__":
    run_script(main)
