#!/usr/bin/env python3
"""How the showcase server does in every scenario of this folder, as one page.

    cmake --preset release && cmake --build --preset release
    bench/scenarios/report.py                       10 s each
    bench/scenarios/report.py --seconds 60 --only 'slow|burst'

Starts the server, sends it one scenario after another, stops it, and says where the page is. Ends with 1 if the page
does not show every kind of scenario: large payload, slow client, failing, overloaded.
"""
import argparse
import json
import pathlib
import re

from harness import (BUILD, HERE, INVALID, Failure, Pinning, Server, commit, default_programs, program, run_load,
                     run_script)

KINDS = {"large-payload", "slow-client", "failing", "overloaded"}
MARGIN_SECONDS = 60  # for connecting, the grace at the end, and writing


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10, metavar="N", help="per scenario; 10")
    parser.add_argument("--only", default="", metavar="REGEX", help="the scenarios whose file's name matches")
    parser.add_argument("--out", default=BUILD / "scenarios", type=pathlib.Path, metavar="DIR",
                        help="where results and page go; build/release/scenarios")
    default_programs(parser, "examples/sluice-showcase", "that of the release build")
    options = parser.parse_args()
    if not 0.1 <= options.seconds <= 3600:
        parser.error("--seconds: 0.1 to 3600")
    return options


def shown(milliseconds):
    return f"{milliseconds / 1000:.1f} ms" if milliseconds is not None else "(too few)"


def line_of(result):
    ok = result["classes"]["2xx"]
    verdict = "valid" if result["valid"] else "INVALID: " + "; ".join(result["invalid"])
    times = ", ".join(f"{name} {shown(ok['latency_us'][name])}" for name in ("p50", "p99", "max"))
    return f"{result['offered_rps']:,.0f}/s, {result['error_ratio'] * 100:.1f} % not 2xx; {times}; {verdict}"


def main():
    options = arguments()
    scenarios = [file for file in sorted(HERE.glob("*.json")) if re.search(options.only, file.stem)]
    if not scenarios:
        raise Failure(f"no scenario matches {options.only!r}")
    load = program(options.load, "Build the preset release, or name it with --load.")
    server_program = program(options.server, "Build the preset release, or name it with --server.")
    options.out.mkdir(parents=True, exist_ok=True)
    pinning = Pinning()
    print(f"commit {commit()}; {pinning}")

    covered, files, invalid = set(), [], 0
    with Server(pinning.of_server([server_program, "--quiet", "--loops", "1", "--listen", "127.0.0.1:0"])) as server:
        for scenario in scenarios:
            file = options.out / scenario.name
            command = [load, "run", f"http://{server.address}/", "--scenario", str(scenario), "-d",
                       f"{options.seconds * 1000:.0f}ms", "-o", str(file), "-q", "--color", "never"]
            returned = run_load(pinning.of_generator(command), options.seconds + MARGIN_SECONDS)
            result = json.loads(file.read_text(encoding="utf-8"))
            print(f"{scenario.stem:14} {line_of(result)}", flush=True)
            covered |= set(result["covers"])
            invalid += returned == INVALID
            files.append(str(file))

    page = options.out / "report.html"
    run_load([load, "report", *files, "--html", str(page)], MARGIN_SECONDS)
    missing = sorted(KINDS - covered)
    print(f"the page is {page.resolve()}")
    if invalid:
        print(f"{invalid} of {len(files)} runs do not count; the page says why")
    if missing:
        print(f"the page is INCOMPLETE, no run shows: {', '.join(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    run_script(main)
