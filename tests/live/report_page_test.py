#!/usr/bin/env python3
"""The report page in a real browser: does it draw the numbers of its report, does it keep a report's texts as texts,
and is its console empty? Needs chromium and SLUICE_LOAD, the path of sluice-load; without them it says so and passes."""
import html
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

PATIENCE = 120  # seconds until something that hangs counts as hanging
OUTCOMES = ["2xx", "429", "503", "504", "other", "broken", "connect_error", "gave_up", "unanswered"]
HOSTILE = "</script><script>document.title='taken'</script><img src=x onerror=\"document.title='taken'\">"


def percentiles(**known):
    names = ["p50", "p75", "p90", "p99", "p999", "p9999", "p99999", "max", "mean"]
    return {name: known.get(name) for name in names}


def outcome(count, **known):
    return {"count": count, "latency_us": percentiles(**known), "service_us": percentiles(**known)}


def run_result(name):
    classes = {key: outcome(0) for key in OUTCOMES}
    classes["2xx"] = outcome(41237, p50=1230, p75=1500, p90=2100, p99=48700, max=1234567, mean=1400)
    classes["503"] = outcome(763, p50=310, max=900, mean=320)
    windows = [{"at_s": at, "planned": 4200, "sent": 4200, "outcomes": {"2xx": 4123, "503": 77}, "p50_us": 1230,
                "p99_us": 48700, "max_us": 90000, "outstanding": 12, "waiting": 3} for at in range(10)]
    return {
        "schema": "sluice-load/1", "kind": "run", "name": name, "command": "sluice-load run URL",
        "target": "http://127.0.0.1:1/", "started_at": "2025-01-01T00:00:00Z",
        "environment": {"version": "0.1.0", "build": "release", "compiler": "GCC", "commit": "", "host": "h",
                        "kernel": "k", "cpu": "c", "cpus": 2, "memory_bytes": 1 << 30, "mitigations": "",
                        "descriptors_max": 1024, "generator_cpus": "1"},
        "config": {"rate_rps": 4200, "connections": 64, "threads": 1, "duration_s": 10, "warmup_s": 0,
                   "arrival": "constant", "pattern": "steady", "seed": 1, "clients": []},
        "valid": False, "invalid": ["a reason in words"], "warnings": [], "covers": ["overloaded"],
        "duration_s": 10, "offered_rps": 4200, "answered_rps": 4200, "goodput_rps": 4123.7, "error_ratio": 0.018167,
        "planned": 42000, "sent": 42000, "unsent": 0, "retried": 0, "unanswered": 0, "connects": 64,
        "connect_failures": 0, "bytes_sent": 1000, "bytes_received": 2000, "classes": classes,
        "all_us": percentiles(p50=1230, p90=2100, max=1234567), "all_at_least": None, "connect_us": percentiles(),
        "connection_wait_us": percentiles(), "send_lag_us": percentiles(),
        "spectrum": {"2xx": [[1230, 0.5, 20618], [48700, 0.99, 40824], [1234567, 1, 41237]]},
        "generator": {"threads": 1, "cpu_ratio": 1, "busy_ratio": 0.2, "cpu_us_per_request": 9, "steal_ratio": 0,
                      "limited": False, "stalls": []},
        "shape": {"class": "wall", "wall_percentile": 99, "wall_us": 48700},
        "silences": [{"from_s": 3, "to_s": 4}], "series": {"window_s": 1, "windows": windows}, "server": [],
        "clients": []}


def drawn(chromium, page, profile):
    """The page's document after its scripts have run, and what the browser wrote meanwhile."""
    done = subprocess.run(
        [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync",
         f"--user-data-dir={profile}", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=5000",
         "--window-size=1200,2000", "--dump-dom", page.as_uri()],
        capture_output=True, text=True, timeout=PATIENCE, check=True)
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def visible_text(document):
    document = re.sub(r"<(script|style|noscript)\b.*?</\1>", " ", document, flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", document)).replace("\u202f", " ").split())


def check(load, chromium, folder):
    source, page = folder / "run.json", folder / "page.html"
    source.write_text(json.dumps(run_result(HOSTILE)), encoding="utf-8")
    subprocess.run([load, "report", str(source), "--html", str(page)], check=True, timeout=PATIENCE,
                   stdout=subprocess.DEVNULL)
    document, console = drawn(chromium, page, folder / "profile")
    assert not console, f"the console is not empty: {console}"
    assert "<title>taken" not in document, "a text of the report was run as a script"
    text = visible_text(document)
    expected = [HOSTILE, "INVALID", "a reason in words", "4,200 /s", "4,124 /s", "1.82 %", "1.23 ms", "48.7 ms",
                "1.23 s", "41,237", "98.2 %", "763", "too few samples", "wall at 99 %", "no answer for 1.00 s"]
    missing = [number for number in expected if number not in text]
    assert not missing, f"not on the page: {missing}\n{text}"
    assert document.count("<svg") > 8, "the charts were not drawn"


def main():
    load = os.environ.get("SLUICE_LOAD")
    chromium = shutil.which("chromium")
    if not load or not pathlib.Path(load).is_file():
        print("Skipped: SLUICE_LOAD does not name a sluice-load.")
        return 0
    if not chromium:
        print("Skipped: chromium is not installed.")
        return 0
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        check(load, chromium, pathlib.Path(folder))
    print("The page draws what its report says.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
