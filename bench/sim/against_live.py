#!/usr/bin/env python3
"""Is what sluice-sim says true? The files of against_live/ played twice: in virtual time, and by sluice-load against a
real server.

    cmake --preset release && cmake --build --preset release --target sluice-sim sluice-load overload-server
    bench/sim/against_live.py                       all five, about three minutes
    bench/sim/against_live.py --only retry_storm    may be repeated
    bench/sim/against_live.py --seconds 40          the same with shorter times: a first look

The service time is measured first and given to the simulator. Writes results.json and table.md, and every file and
result they come from, to --out, and the table into the README.md beside this file, unless --only, --seconds or
--no-readme is given. Ends with 1 if a line fails.
"""
import argparse
import copy
import dataclasses
import json
import math
import pathlib
import shlex
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))
sys.path.insert(0, str(HERE.parent / "scenarios" / "overload"))

from harness import (BUILD, ROOT, Failure, Pinning, commit, default_programs, program, replace_section,  # noqa: E402
                     run_script)
from lab import CONNECTIONS, Lab, Scale, clients, raise_descriptors  # noqa: E402
from rates import Stall  # noqa: E402

FOLDER = HERE / "against_live"
NAMES = ("steady", "overload", "burst", "stalled_dependency", "retry_storm")
README = HERE / "README.md"
MARKS = ("<!-- against_live -->", "<!-- against_live: end -->")
LANE = "paced"                 # of overload-server
GOODPUT_WITHIN = 0.05          # of the live one
RECOVERY_WITHIN_S = 1.0
WELL_SHARE, CHANCE = 0.95, 3   # of the goodput before, less so many standard deviations
WELL_FOR_S = 0.5               # what is judged at a time
LONGEST = 1.5                  # of the live loads' time: what does not count is played again while there is some left
SIM_SECONDS = 60               # until a simulation counts as hanging


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=NAMES, metavar="NAME", help="may be repeated")
    parser.add_argument("--seconds", type=float, metavar="N",
                        help="of the live loads of all five together; all times of the files are shortened alike")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of both sides; 1")
    parser.add_argument("--out", default=BUILD / "against_live", type=pathlib.Path, metavar="DIR",
                        help="where results go; build/release/against_live")
    parser.add_argument("--no-readme", action="store_true", help="leaves the README.md as it is")
    parser.add_argument("--sim", default=BUILD / "bench" / "sluice-sim", type=pathlib.Path, metavar="FILE",
                        help="sluice-sim; that of the release build")
    default_programs(parser, "bench/overload-server", "that of the release build")
    options = parser.parse_args()
    if options.seconds is not None and not 20 <= options.seconds <= 3600:
        parser.error("--seconds: 20 to 3600")
    return options


# ---- what is played

def read_scenario(name):
    return json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))


def stretched(scenario, factor):
    """All times of a scenario that are not those of a call, to a tenth of a second."""
    scenario = copy.deepcopy(scenario)
    for part, keys in [(scenario, ("duration_s", "warmup_s")), (scenario["arrivals"], ("on_s", "off_s")),
                       *((event, ("at_s", "for_s")) for event in scenario.get("events", []))]:
        for key in keys:
            if key in part:
                part[key] = max(0.1, round(part[key] * factor, 1))
    arrivals = scenario["arrivals"]
    if "on_s" in arrivals:  # whole bursts, however they were rounded
        period = arrivals["on_s"] + arrivals["off_s"]
        scenario["duration_s"] = round(period * max(1, round(scenario["duration_s"] / period)), 1)
    return scenario


def trouble_of(scenario):
    """When the event began and ended, in seconds: the file's, or the last whole burst behind the warm-up. Or None."""
    arrivals = scenario["arrivals"]
    if scenario.get("events"):
        event = scenario["events"][0]
        return event["at_s"], event["at_s"] + event["for_s"]
    if arrivals.get("pattern") != "burst":
        return None
    period = arrivals["on_s"] + arrivals["off_s"]
    begin = math.floor((scenario["duration_s"] - period) / period + 1e-6) * period
    if begin < scenario["warmup_s"]:
        raise Failure("a burst needs a calm stretch before it, behind the warm-up")
    return begin, begin + arrivals["on_s"]


def load_of(scenario):
    """The same calls for sluice-load: one kind of clients, one route."""
    arrivals, kind, route = scenario["arrivals"], scenario["clients"][0], scenario["routes"][0]
    more = {"give_up_after": f"{kind['timeout_ms']}ms"}
    peak = arrivals["rate_per_s"]
    if arrivals.get("pattern") == "burst":
        more["pattern"] = {"kind": "burst", "high": arrivals["high"], "on": f"{arrivals['on_s']}s",
                           "low": arrivals["low"], "off": f"{arrivals['off_s']}s"}
        peak *= arrivals["high"]
    if kind.get("retries"):
        if kind.get("retry_delay_ms") != 0 or kind.get("backoff") is not False:
            raise Failure("clients must try again at once: the two sides spread pauses differently")
        more |= {"retries": kind["retries"], "retry_backoff": "0s"}
    attempts = 1 + kind.get("retries", 0)
    connections = max(CONNECTIONS, math.ceil(2 * peak * attempts * kind["timeout_ms"] / 1000))  # nobody waits for one
    return clients(route["name"].split()[1], arrivals["rate_per_s"], connections=connections, **more)


def check_server(server, scenario):
    """The file says what the server is, or nothing can be compared."""
    route, lane = scenario["routes"][0], server.lane_report(LANE)
    for key in ("in_flight_max", "queue_depth_max"):
        if lane[key] != route[key]:
            raise Failure(f"{key} is {route[key]} in the file and {lane[key]} at the server")


# ---- what came of it

@dataclasses.dataclass
class Series:
    """Good answers over time, in windows of the same length on both sides."""
    window_s: float
    good: list

    def rate(self, first_s, last_s):
        """Per second, in the whole windows in between."""
        first, last = math.ceil(first_s / self.window_s - 1e-6), math.floor(last_s / self.window_s + 1e-6)
        return sum(self.good[first:last]) / ((last - first) * self.window_s)


def recovery(series, calm_from_s, trouble):
    """Seconds from the event's end until goodput stays at what it was before; None: not by the end. Chance is the spread
    of a Poisson process."""
    begin_s, end_s = trouble
    width = math.ceil(WELL_FOR_S / series.window_s - 1e-6)  # never less than that
    usual = WELL_SHARE * series.rate(calm_from_s, begin_s) * width * series.window_s
    least = usual - CHANCE * math.sqrt(usual)
    first = math.ceil(end_s / series.window_s - 1e-6)
    well = first
    for at in range(first, len(series.good) - width + 1):
        if sum(series.good[at:at + width]) < least:
            well = at + width
    return None if well + width > len(series.good) else round(max(0.0, well * series.window_s - end_s), 2)


@dataclasses.dataclass
class Side:
    """One of the two: good answers per second behind the warm-up, and the time to recover where there is an event."""
    goodput: float
    recovered_s: float | None
    offered: float


def side_of(series, offered, scenario, trouble):
    recovered_s = recovery(series, scenario["warmup_s"], trouble) if trouble else None
    return Side(series.rate(scenario["warmup_s"], scenario["duration_s"]), recovered_s,
                offered.rate(scenario["warmup_s"], scenario["duration_s"]))


@dataclasses.dataclass
class Row:
    name: str
    event: bool
    simulated: Side
    live: Side
    service_ms: float
    invalid: list

    def goodput_off(self):
        return self.simulated.goodput / self.live.goodput - 1 if self.live.goodput else math.inf

    def recovery_off(self):
        """In seconds; None: neither recovered, or there was nothing to recover from."""
        both = (self.simulated.recovered_s, self.live.recovered_s)
        if None not in both:
            return both[0] - both[1]
        return None if both[0] is both[1] else math.inf

    def state(self):
        if self.invalid:
            return "INVALID"
        off = self.recovery_off() or 0
        return "PASS" if abs(self.goodput_off()) <= GOODPUT_WITHIN and abs(off) <= RECOVERY_WITHIN_S else "FAIL"


# ---- the two sides

def simulate(options, name, scenario, trouble):
    file, result = options.out / f"{name}.sim.json", options.out / f"{name}.simulated.json"
    file.write_text(json.dumps(scenario, indent=1), encoding="utf-8")
    command = [options.sim, str(file), "--seed", str(options.seed), "--json", str(result)]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SIM_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"{shlex.join(command)} did not end within {SIM_SECONDS} s") from None
    if done.returncode != 0:
        raise Failure(f"{shlex.join(command)} returned {done.returncode}: {done.stderr.strip()}")
    series = json.loads(result.read_text(encoding="utf-8"))["runs"][0]["series"]
    window_s = series["window_s"]
    good, offered = (Series(window_s, [rate * window_s for rate in series[key]])
                     for key in ("good_per_s", "offered_per_s"))
    return side_of(good, offered, scenario, trouble), window_s


def play_live(lab, name, scenario, trouble, window_s):
    """A fresh server, the load, and the event at its time."""
    duration_s = scenario["duration_s"]
    with lab.start("overload", "--workers", scenario["pool_threads"]) as server:
        check_server(server, scenario)
        stall = None
        if scenario.get("events"):
            event = scenario["events"][0]
            stall = Stall(server, *trouble, switch="pace", factor=0 if event.get("stall") else event["slow"])
        result = lab.load(server, name, [load_of(scenario)], duration_s, warmup=0, on_progress=stall,
                          seed=lab.options.seed, window=f"{window_s * 1000:.0f}ms")
        if stall is not None:
            if stall.ended_s is None:
                raise Failure("the server could not be made slow and quick again while the load went on")
            trouble = trouble[0], stall.ended_s
    if abs(result.run["series"]["window_s"] - window_s) > 1e-6:
        raise Failure("sluice-load did not keep to the windows it was given")
    windows = [window for window in result.run["series"]["windows"] if window["at_s"] + window_s <= duration_s + 1e-6]
    good = Series(window_s, [window["outcomes"].get("2xx", 0) for window in windows])
    offered = Series(window_s, [window["planned"] for window in windows])
    return side_of(good, offered, scenario, trouble), result.invalid


def measured_service_ms(lab, target):
    """What one call takes when nothing else is there: a sleep is a little longer than it was asked to be."""
    with lab.start("overload") as server:
        result = lab.load(server, "service time", [clients(target, connections=1)], 3, warmup=0.5, grace=1)
    mean_us = result.run["classes"]["2xx"]["service_us"]["mean"]
    if mean_us is None:
        raise Failure(f"{target} answered nothing")
    return round(mean_us / 1000, 3)


def compare(lab, name, scenario, service_ms, end):
    """`end`: of the monotonic clock; from then on nothing is played a second time."""
    scenario["routes"][0]["service"] = {"distribution": "fixed", "mean_ms": service_ms}
    trouble = trouble_of(scenario)
    simulated, window_s = simulate(lab.options, name, scenario, trouble)
    live, invalid = play_live(lab, name, scenario, trouble, window_s)
    if invalid and time.monotonic() + scenario["duration_s"] < end:
        live, invalid = play_live(lab, name, scenario, trouble, window_s)
    return Row(name, trouble is not None, simulated, live, service_ms, invalid)


# ---- the table

def seconds(row, value):
    return "-" if not row.event else "not by the end" if value is None else f"{value:.1f} s"


def cells(row):
    off = row.recovery_off()
    recovery_off = "-" if off is None else "-" if math.isinf(off) else f"{off:+.1f} s"
    return (row.name, f"{row.simulated.goodput:,.0f}", f"{row.live.goodput:,.0f}",
            f"{row.goodput_off() * 100:+.1f} %", seconds(row, row.simulated.recovered_s),
            seconds(row, row.live.recovered_s), recovery_off, row.state())


def table_of(rows):
    lines = ["| scenario | good/s, simulated | live | difference | back after, simulated | live | difference | |",
             "|---|---:|---:|---:|---:|---:|---:|---|"]
    return "\n".join(lines + ["| " + " | ".join(cells(row)) + " |" for row in rows])


def conditions_of(options, pinning, rows, began):
    command = " ".join(["bench/sim/against_live.py", *map(shlex.quote, sys.argv[1:])])
    result = json.loads((options.out / f"{rows[-1].name}.result.json").read_text(encoding="utf-8"))
    machine = result["environment"]
    lines = [("command", f"`{command}`"), ("commit", commit()),
             ("measured", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(began))),
             ("processor", f"{machine['cpu']}, {machine['cpus']} to be had; {pinning}"), ("kernel", machine["kernel"]),
             ("compiler", f"{machine['compiler']}, {machine['build']}"),
             ("service time", f"{rows[-1].service_ms:g} ms, measured"), ("seed", options.seed)]
    return "\n".join(f"* {name}: {value}" for name, value in lines)


def main():
    options = arguments()
    options.sim = program(options.sim, "Build the preset release, or name it with --sim.")
    options.out = options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    raise_descriptors()
    pinning = Pinning()
    lab = Lab(options, pinning, Scale("full", None))
    began = time.time()
    print(f"commit {commit()}; {pinning}", flush=True)

    scenarios = {name: read_scenario(name) for name in NAMES}
    if options.seconds:
        factor = options.seconds / sum(scenario["duration_s"] for scenario in scenarios.values())
        scenarios = {name: stretched(scenario, factor) for name, scenario in scenarios.items()}
    service_ms = measured_service_ms(lab, scenarios[NAMES[0]]["routes"][0]["name"].split()[1])
    print(f"a call alone takes {service_ms:g} ms", flush=True)
    names = [name for name in NAMES if not options.only or name in options.only]
    end = time.monotonic() + LONGEST * sum(scenarios[name]["duration_s"] for name in names)
    rows = []
    for name in names:
        rows.append(compare(lab, name, scenarios[name], service_ms, end))
        print("; ".join([f"{name}: {rows[-1].state()}", *rows[-1].invalid]), flush=True)

    conditions = conditions_of(options, pinning, rows, began)
    section = f"{conditions}\n\n{table_of(rows)}"
    print(section)
    results = [dataclasses.asdict(row) | {"state": row.state()} for row in rows]
    document = {"schema": "sluice-against-live/1", "commit": commit(), "pinning": str(pinning), "rows": results}
    (options.out / "results.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
    (options.out / "table.md").write_text(section + "\n", encoding="utf-8")
    if not (options.only or options.seconds or options.no_readme):
        replace_section(README, MARKS, section)
        print(README.relative_to(ROOT))
    return 0 if all(row.state() == "PASS" for row in rows) else 1


if __name__ == "__main__":
    run_script(main)
