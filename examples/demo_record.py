#!/usr/bin/env python3
"""Drives the split screen of sluice-showcase --demo as a visitor would, and writes down what both sides did: as a small
table, or as a picture. Python's standard library only.

    demo_record.py --svg examples/demo.svg          starts build/release/examples/sluice-showcase, 30 seconds
    demo_record.py --table --address 127.0.0.1:8080 a shorter story, on one that runs already

Exits with 1 if what it saw is not the story: with three times too much the right side does at least 70 % of its
capacity and the left one less than half of that; when the load is back the right side is too, and the left is not yet.
"""
import argparse
import collections
import http.client
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SIDES = {"left": "unbounded queue", "right": "sluice"}
SVG_STORY = [(0.7, 5), (3, 10), (0.7, 15)]  # factor of the capacity, seconds
TABLE_STORY = [(0.7, 3), (3, 6), (0.7, 5)]
PATIENCE = 30  # seconds until something that hangs counts as hanging


class Demo:
    """A running showcase, asked and told by its endpoints."""

    def __init__(self, address):
        self.address = address
        self.last = -1
        self.facts = {}

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            sys.exit(f"demo_record.py: {path} was answered {answer.status}; is it sluice-showcase --demo?")
        return json.loads(text) if text else None

    def set(self, **settings):
        self.ask("POST", "/demo/set", settings)

    def samples(self):
        """Those that are new."""
        state = self.ask("GET", f"/demo/state?after={self.last}")
        self.facts = state["facts"]
        if state["load_ended"]:
            sys.exit("demo_record.py: the load has ended before the story had")
        if state["samples"]:
            self.last = state["samples"][-1]["number"]
        return state["samples"]

    def settle(self):
        """Both sides at the usual load, with nothing left over."""
        self.set(factor=0.7, retrying=False, hurried=False, slow_readers=False, stalled=False)
        self.ask("POST", "/demo/restart", {})
        end = time.monotonic() + PATIENCE
        well = 0
        while well < 4:
            if time.monotonic() > end:
                sys.exit("demo_record.py: the two sides do not even manage the usual load on this machine")
            time.sleep(0.1)
            for sample in self.samples():
                fine = all(sample[side]["good"] > 0.9 * sample["offered"] > 0 for side in SIDES)
                well = well + 1 if fine else 0

    def play(self, story):
        """A list of samples for each stretch of it."""
        played = []
        for factor, seconds in story:
            self.set(factor=factor)
            stretch = []
            wanted = round(seconds * 1000 / self.facts["window_ms"])
            while len(stretch) < wanted:
                time.sleep(0.1)
                stretch += self.samples()
            played.append(stretch)
        return played


def latency_ms(sample, side):
    """p99 of those who were served or left unserved; those who left stand at their patience."""
    if sample[side]["p99_ms"] is not None:
        return sample[side]["p99_ms"]
    return sample["patience_ms"] if sample[side]["asked"] else None


def second_half(stretch, side):
    """Goodput and the median of the windows' p99, once the new load has settled."""
    half = stretch[len(stretch) // 2:]
    times = [value for sample in half if (value := latency_ms(sample, side)) is not None]
    return statistics.mean(sample[side]["good"] for sample in half), statistics.median(times) if times else None


def in_words(value, patience):
    if value is None:
        return "-"
    if value >= patience:
        return f"> {patience / 1000:.0f} s"
    return f"{value / 1000:.1f} s" if value >= 1000 else f"{value:.0f} ms"


def print_table(facts, story, played):
    print(f"  {'':<22}{SIDES['left'].center(28)}{SIDES['right'].center(28)}")
    print(f"  {'load':<22}" + f"{'in time':>10}{'p99':>9}{'waiting':>9}" * 2)
    for (factor, _), stretch in zip(story, played):
        load = f"{factor} x, {factor * facts['capacity_per_s']:,.0f}/s"
        cells = ""
        for side in SIDES:
            good, p99 = second_half(stretch, side)
            cells += f"{good:>8,.0f}/s{in_words(p99, facts['patience_ms']):>9}{stretch[-1][side]['waiting']:>9,}"
        print(f"  {load:<22}{cells}")
    print(f"  In time: within {facts['in_time_ms']} ms. Of each stretch's second half; waiting: at its end.")


def faults(facts, story, played):
    overload = next(index for index, (factor, _) in enumerate(story) if factor > 1)
    good = {side: [second_half(stretch, side)[0] for stretch in played] for side in SIDES}
    if good["right"][overload] < 0.7 * facts["capacity_per_s"]:
        yield f"only {good['right'][overload]:.0f} a second on the right with too much load"
    if good["left"][overload] > 0.5 * good["right"][overload]:
        yield f"{good['left'][overload]:.0f} a second on the left with too much load: it did not collapse"
    usual = story[-1][0] * facts["capacity_per_s"]
    if good["right"][-1] < 0.9 * usual:
        yield f"only {good['right'][-1]:.0f} of {usual:.0f} a second on the right afterwards"
    if good["left"][-1] > 0.5 * good["right"][-1]:
        yield f"{good['left'][-1]:.0f} a second on the left afterwards: it was over it at once"


# ---- the picture

STYLE = """
.paper { fill: #ffffff; stroke: #d5dee6; } text { font: 13px system-ui, sans-serif; fill: #1b2733; }
.soft { fill: #5a6b7a; font-size: 11.5px; } .title { font-weight: 600; } .grid { stroke: #e3eaf0; }
.mark { stroke: #5a6b7a; stroke-dasharray: 2 3; } .stretch { fill: #b3471d; opacity: 0.07; }
.line { fill: none; stroke-width: 2.25; stroke-linejoin: round; } .left { stroke: #b3471d; } .right { stroke: #0f6cad; }
@media (prefers-color-scheme: dark) {
  .paper { fill: #161e26; stroke: #2b3945; } text { fill: #e3eaf0; } .soft { fill: #9aabba; } .grid { stroke: #2b3945; }
  .mark { stroke: #9aabba; } .stretch { fill: #f0916a; opacity: 0.1; }
  .left { stroke: #f0916a; } .right { stroke: #6db7f2; }
}
"""
WIDTH, LEFT, RIGHT, HEIGHT = 820, 62, 800, 150  # of the picture, and of one chart


def escaped(text):
    return text.replace("&", "&amp;").replace("<", "&lt;")


# One chart: `grid` pairs values with labels, `level` turns a value into 0 to 1, `values` are (seconds, value) a side.
Panel = collections.namedtuple("Panel", "top title grid level values")


def drawn(panel, total_s):
    """Its parts, and what turns seconds and values into places."""
    x = lambda at: LEFT + (RIGHT - LEFT) * at / total_s
    y = lambda value: panel.top + HEIGHT * (1 - min(1, max(0, panel.level(value))))
    parts = [f'<text class="title" x="{LEFT}" y="{panel.top - 9}">{panel.title}</text>']
    for value, label in panel.grid:
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}"/>')
        parts.append(f'<text class="soft" x="{LEFT - 7}" y="{y(value) + 4:.1f}" text-anchor="end">{label}</text>')
    for side in SIDES:
        path, down = "", False
        for at, value in panel.values[side]:
            path += "" if value is None else f"{'L' if down else 'M'}{x(at):.1f} {y(value):.1f}"
            down = value is not None
        parts.append(f'<path class="line {side}" d="{path}"/>')
    return parts, x, y


def key(x, y):
    parts = []
    for side, name in SIDES.items():
        parts.append(f'<line class="line {side}" x1="{x}" x2="{x + 24}" y1="{y - 4}" y2="{y - 4}"/>')
        parts.append(f'<text x="{x + 31}" y="{y}">{name}</text>')
        x += 60 + 7 * len(name)
    return parts


def picture(facts, story, played, below):
    window_s = facts["window_ms"] / 1000
    samples = [sample for stretch in played for sample in stretch]
    total_s = len(samples) * window_s
    moments = [(index + 0.5) * window_s for index in range(len(samples))]
    good = {side: list(zip(moments, (sample[side]["good"] for sample in samples))) for side in SIDES}
    times = {side: list(zip(moments, (latency_ms(sample, side) for sample in samples))) for side in SIDES}
    top, second = 92, 304
    goods, x, y = drawn(Panel(top, "Answered in time, per second", [(0, "0"), (500, "500"), (1000, "1,000")],
                              lambda value: value / 1000, good), total_s)
    waits, _, late = drawn(Panel(second, "p99 of whoever was served, or left unserved after two seconds",
                                 [(10, "10 ms"), (100, "100 ms"), (1000, "1 s"), (10000, "10 s")],
                                 lambda ms: math.log10(max(ms, 1) / 10) / 3, times), total_s)
    bottom = second + HEIGHT
    parts = [f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{bottom + 71}" rx="10"/>',
             f'<text class="title" x="{LEFT}" y="30" style="font-size:16px">The same handler, the same load: 16 '
             f'connections, {facts["query_ms"]} ms a query</text>', *key(LEFT, 54)]
    at = 0
    for (factor, _), stretch in zip(story, played):
        length = len(stretch) * window_s
        if factor > 1:
            parts.append(f'<rect class="stretch" x="{x(at):.1f}" y="{top}" width="{x(length) - x(0):.1f}" '
                         f'height="{bottom - top}"/>')
        parts.append(f'<text class="soft" x="{x(at + length / 2):.1f}" y="{top + HEIGHT + 24}" text-anchor="middle">'
                     f"{factor} × capacity</text>")
        at += length
    for level, label in ((y(facts["capacity_per_s"]), "capacity"), (late(facts["in_time_ms"]), "in time")):
        parts.append(f'<line class="mark" x1="{LEFT}" x2="{RIGHT}" y1="{level:.1f}" y2="{level:.1f}"/>')
        parts.append(f'<text class="soft" x="{RIGHT - 4}" y="{level - 5:.1f}" text-anchor="end">{label}</text>')
    for at in range(0, int(total_s) + 1, 5):
        parts.append(f'<text class="soft" x="{x(at):.1f}" y="{bottom + 18}" text-anchor="middle">{at} s</text>')
    for line, text in enumerate(below):
        parts.append(f'<text class="soft" x="{LEFT}" y="{bottom + 42 + 17 * line}">{escaped(text)}</text>')
    told = "; ".join(f"at {factor} times the capacity " + ", ".join(
        f"{name} {second_half(stretch, side)[0]:.0f}" for side, name in SIDES.items())
                     for (factor, _), stretch in zip(story, played))
    label = f"Line charts over {total_s:.0f} seconds. Answered in time per second, in the second half of each stretch: {told}."
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 72}" width="{WIDTH}" '
            f'height="{bottom + 72}" role="img" aria-label="{label}">\n<style>{STYLE}</style>\n'
            + "\n".join(parts + goods + waits) + "\n</svg>\n")


def machine():
    cpu = platform.machine()
    try:
        found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"))
        cpu = found.group(1) if found else cpu
    except OSError:
        pass
    commit = subprocess.run(["git", "-C", str(ROOT), "describe", "--always", "--dirty"], capture_output=True, text=True,
                            check=False).stdout.strip()
    return f"{cpu}, {os.cpu_count()} CPUs, Linux {platform.release()}{', commit ' + commit if commit else ''}"


class Showcase:
    """One of our own, from its start to its end."""

    def __init__(self, program):
        self.process = subprocess.Popen([program, "--demo", "--quiet", "--listen", "127.0.0.1:0"],
                                        stderr=subprocess.PIPE, text=True)
        line = self.process.stderr.readline()
        if not line.startswith("listening on "):
            self.process.wait()
            sys.exit(f"demo_record.py: {line.strip() or program + ' did not start'}")
        self.address = line.split()[-1]

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.process.terminate()
        self.process.communicate()
        return False


def record(demo, options):
    story = TABLE_STORY if options.table else SVG_STORY
    demo.settle()
    played = demo.play(story)
    demo.set(factor=0.7)
    if options.svg:
        below = [f"examples/demo_record.py --svg {os.path.relpath(options.svg, ROOT)}", machine()]
        pathlib.Path(options.svg).write_text(picture(demo.facts, story, played, below), encoding="utf-8")
    print_table(demo.facts, story, played)
    found = list(faults(demo.facts, story, played))
    for fault in found:
        print(f"  NOT AS PROMISED: {fault}")
    return 1 if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--svg", metavar="FILE", help="write a picture")
    what.add_argument("--table", action="store_true", help="only print a table, of 14 seconds")
    parser.add_argument("--address", metavar="HOST:PORT", help="of a showcase that runs with --demo")
    parser.add_argument("--server", default=str(ROOT / "build/release/examples/sluice-showcase"),
                        help="the program to start otherwise; default: that of the preset release")
    options = parser.parse_args()
    try:
        if options.address:
            return record(Demo(options.address), options)
        with Showcase(options.server) as server:
            return record(Demo(server.address), options)
    except OSError as error:
        sys.exit(f"demo_record.py: {error}")


if __name__ == "__main__":
    sys.exit(main())
