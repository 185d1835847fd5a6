#!/usr/bin/env python3
"""The overload experiments of bench/scenarios/overload, each for about a second: that they run, write what they say
they write, and that what must hold on any machine holds. No time is judged, since the machine may be busy with
something else.

Needs sluice-load (SLUICE_LOAD), overload-server beside it, and the showcase (of SLUICE_EXAMPLES)."""
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "bench" / "scenarios" / "overload"
LOAD = pathlib.Path(os.environ.get("SLUICE_LOAD") or "sluice-load").resolve()
SERVER = LOAD.parent / "overload-server"
SHOWCASE = pathlib.Path(os.environ.get("SLUICE_EXAMPLES", "build/release/examples")).resolve() / "sluice-showcase"
MISSING = [str(program) for program in (LOAD, SERVER, SHOWCASE) if not program.is_file()]
PATIENCE = 900  # seconds until something that hangs counts as hanging

ROW = {"experiment", "case", "offered", "admitted", "goodput", "refused", "received", "classes", "floor", "checks",
       "notes", "invalid", "repeated", "state"}
# What holds on any machine, by experiment: at least these lines are judged.
EXACT = {
    "steady": {"the books balance"},
    "cpu": {"the books balance"},
    "dead_work": {"started_after_deadline", "handlers that saw their deadline passed",
                  "handlers with more time than their client told", "handlers ran", "the books balance"},
    "queue_bound": {"depth of the queue", "RSS growth", "requests neither answered nor reset", "the books balance"},
    "burst": {"the books balance"},
    "retry_storm": {"the books balance"},
    "bulkhead": {"zombies, A's limit", "the number of threads stays", "the books balance"},
    "disconnect": {"waited in the queue", "handlers that ran for them", "cancelled", "depth afterwards",
                   "the books balance"},
    "slow_loris": {"some came to their end", "the books balance"},
    "slow_readers": {"RSS growth", "the books balance"},
    "double_answer": {"exactly one valid answer each", "answers", "responded, beside the 200 seen",
                      "timed_out, beside the 504 seen", "refused, beside the 503 seen",
                      "late + responded, beside started", "the books balance"},
    "uneven": {"the books balance"},
    "criticality": {"the books balance"},
    "loop_lag": set(),
    "soak": {"descriptors at the end, as at the start", "threads at the end, as at the start", "the books balance"},
}


def command(*arguments):
    return [sys.executable, "-B", str(FOLDER / "run.py"), *map(str, arguments)]


class List(unittest.TestCase):
    def test_names_each_experiment_and_the_page_has_each(self):
        done = subprocess.run(command("--list"), capture_output=True, text=True, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual({line.split()[0] for line in done.stdout.splitlines()}, set(EXACT))
        page = (FOLDER / "README.md").read_text(encoding="utf-8")
        for name in EXACT:
            self.assertRegex(page, rf"(?m)^\| `{name}` \|")


@unittest.skipIf(MISSING, f"not built: {', '.join(MISSING)}")
class Experiments(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        out = pathlib.Path(cls.folder.name)
        cls.done = subprocess.run(command("--smoke", "--no-readme", "--out", out, "--server", SERVER, "--showcase",
                                          SHOWCASE, "--load", LOAD), capture_output=True, text=True, timeout=PATIENCE)
        cls.said = cls.done.stdout + cls.done.stderr
        results, table = out / "results.json", out / "table.md"
        cls.results = json.loads(results.read_text(encoding="utf-8")) if results.is_file() else None
        cls.table = table.read_text(encoding="utf-8") if table.is_file() else ""

    def test_all_pass_what_does_not_depend_on_time(self):
        self.assertEqual(self.done.returncode, 0, self.said)

    def test_results_are_whole(self):
        self.assertIsNotNone(self.results, self.said)
        self.assertEqual((self.results["schema"], self.results["scale"]), ("sluice-overload/1", "smoke"))
        self.assertEqual({row["experiment"] for row in self.results["rows"]}, set(EXACT))
        for row in self.results["rows"]:
            with self.subTest(experiment=row["experiment"], case=row["case"]):
                self.assertEqual(set(row), ROW)
                for check in row["checks"]:
                    self.assertEqual(set(check), {"name", "value", "limit", "state", "exact"})
                    self.assertIn(check["state"], {"PASS", "NOISY", "FAIL"})

    def test_what_must_hold_on_any_machine_is_judged_and_holds(self):
        self.assertIsNotNone(self.results, self.said)
        for row in self.results["rows"]:
            with self.subTest(experiment=row["experiment"], case=row["case"]):
                exact = [check for check in row["checks"] if check["exact"]]
                self.assertLessEqual(EXACT[row["experiment"]], {check["name"] for check in exact})
                for check in exact:
                    self.assertEqual(check["state"], "PASS", f"{check}\n{self.said}")

    def test_the_table_has_a_line_for_each_row(self):
        self.assertIsNotNone(self.results, self.said)
        lines = re.findall(r"(?m)^\| (?!experiment |---)", self.table)
        self.assertEqual(len(lines), len(self.results["rows"]), self.table)


if __name__ == "__main__":
    if MISSING:
        print(f"not built: {', '.join(MISSING)}: the experiments are not run")
    unittest.main(verbosity=2)
