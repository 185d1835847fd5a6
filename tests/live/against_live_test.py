#!/usr/bin/env python3
"""bench/sim/against_live.py: when a service counts as well again, what it makes of the simulator's files, and, where
sluice-load, overload-server and sluice-sim are built, that a short run writes what it says it writes. No time of a live
run is judged, since the machine may be busy with something else.

Needs sluice-load (SLUICE_LOAD) with overload-server and sluice-sim beside it."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "bench" / "sim" / "against_live.py"
LOAD = pathlib.Path(os.environ.get("SLUICE_LOAD") or "sluice-load").resolve()
SERVER, SIM = LOAD.parent / "overload-server", LOAD.parent / "sluice-sim"
MISSING = [str(program) for program in (LOAD, SERVER, SIM) if not program.is_file()]
PATIENCE = 300  # seconds until something that hangs counts as hanging

sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPT.parent))
import against_live  # noqa: E402
from against_live import NAMES, Row, Series, Side, load_of, read_scenario, recovery, stretched, trouble_of  # noqa: E402


def series(*stretches):
    """Windows of a tenth of a second: (seconds, good a second) one after the other."""
    return Series(0.1, [rate / 10 for seconds, rate in stretches for _ in range(round(seconds * 10))])


class Recovery(unittest.TestCase):
    def test_at_once_if_all_is_well_from_the_end_on(self):
        self.assertEqual(recovery(series((8, 600), (5, 0), (7, 600)), 2, (8, 13)), 0)

    def test_is_the_end_of_the_last_half_second_that_was_bad(self):
        found = recovery(series((8, 600), (5, 0), (2, 100), (5, 600)), 2, (8, 13))
        self.assertTrue(1.8 <= found <= 2.5, found)

    def test_a_relapse_counts(self):
        found = recovery(series((8, 600), (5, 0), (2, 600), (1, 0), (4, 600)), 2, (8, 13))
        self.assertTrue(2.9 <= found <= 3.5, found)

    def test_is_not_seen_if_it_is_bad_until_the_end(self):
        self.assertIsNone(recovery(series((8, 600), (5, 0), (7, 300)), 2, (8, 13)))

    def test_nothing_shorter_than_half_a_second_is_judged(self):
        good = [120.0] * 100
        good[70] = 60.0  # too few for 0.4 s around it, chance for 0.6 s
        self.assertEqual(recovery(Series(0.2, good), 2, (8, 13)), 0)

    def test_more_than_before_is_well(self):
        self.assertEqual(recovery(series((8, 600), (5, 0), (1, 900), (6, 600)), 2, (8, 13)), 0)


class Verdict(unittest.TestCase):
    def row(self, goodput, recovered_s, invalid=()):
        return Row("a", True, Side(goodput, recovered_s, 600), Side(600, 1.0, 600), 20.1, list(invalid)).state()

    def test_five_percent_and_a_second(self):
        self.assertEqual(self.row(571, 1.9), "PASS")
        self.assertEqual(self.row(629, 0.1), "PASS")
        self.assertEqual(self.row(569, 1.0), "FAIL")
        self.assertEqual(self.row(631, 1.0), "FAIL")
        self.assertEqual(self.row(600, 2.1), "FAIL")
        self.assertEqual(self.row(600, None), "FAIL")

    def test_what_does_not_count_does_not_pass(self):
        self.assertEqual(self.row(600, 1.0, ["the generator was late"]), "INVALID")


class Files(unittest.TestCase):
    def test_each_is_there_and_nothing_else(self):
        self.assertEqual({file.stem for file in against_live.FOLDER.iterdir()}, set(NAMES))

    def test_the_load_is_what_the_file_says(self):
        for name in NAMES:
            with self.subTest(scenario=name):
                scenario = read_scenario(name)
                load = load_of(scenario)
                self.assertEqual(load["rate"], scenario["arrivals"]["rate_per_s"])
                self.assertEqual(load["give_up_after"], f"{scenario['clients'][0]['timeout_ms']}ms")
                self.assertEqual(load.get("retries", 0), scenario["clients"][0].get("retries", 0))
                self.assertEqual("pattern" in load, name == "burst")

    def test_pauses_that_the_two_sides_would_spread_differently_are_refused(self):
        scenario = read_scenario("retry_storm")
        scenario["clients"][0]["retry_delay_ms"] = 50
        with self.assertRaises(against_live.Failure):
            load_of(scenario)

    def test_the_event_of_bursts_is_the_last_whole_one(self):
        self.assertEqual(trouble_of(read_scenario("burst")), (12, 15))
        self.assertEqual(trouble_of(read_scenario("stalled_dependency")), (8, 13))
        self.assertIsNone(trouble_of(read_scenario("steady")))

    def test_bursts_of_any_length_stay_whole(self):
        for percent in range(20, 400):
            with self.subTest(factor=percent / 100):
                scenario = stretched(read_scenario("burst"), percent / 100)
                begin, end = trouble_of(scenario)
                self.assertGreaterEqual(begin, scenario["warmup_s"])
                self.assertAlmostEqual(end + scenario["arrivals"]["off_s"], scenario["duration_s"])

    def test_shorter_ones_have_the_same_shape(self):
        for name in NAMES:
            with self.subTest(scenario=name):
                scenario = read_scenario(name)
                half, whole = trouble_of(stretched(scenario, 0.5)), trouble_of(scenario)
                self.assertEqual(half and [2 * moment for moment in half], whole and list(whole))


class Page(unittest.TestCase):
    def test_has_a_marked_place_whose_content_alone_is_replaced(self):
        begin, end = marks = against_live.MARKS
        with tempfile.TemporaryDirectory() as folder:
            page = pathlib.Path(folder) / "README.md"
            for text in (against_live.README.read_text(encoding="utf-8"), "# page without marks\n"):
                page.write_text(text, encoding="utf-8")
                if begin not in text:
                    self.assertRaises(against_live.Failure, against_live.replace_section, page, marks, "| new |")
                    continue
                for section in ("| old |", "| new |"):
                    against_live.replace_section(page, marks, section)
                found = page.read_text(encoding="utf-8")
                self.assertEqual(found.partition(begin)[0], text.partition(begin)[0])
                self.assertEqual(found.partition(end)[2], text.partition(end)[2])
                self.assertEqual(found.partition(begin)[2].partition(end)[0], "\n| new |\n")


@unittest.skipIf(MISSING, f"not built: {', '.join(MISSING)}")
class Run(unittest.TestCase):
    def test_a_short_one_writes_both_sides(self):
        with tempfile.TemporaryDirectory() as folder:
            done = subprocess.run([sys.executable, "-B", str(SCRIPT), "--seconds", "25", "--only", "stalled_dependency",
                                   "--out", folder, "--sim", SIM, "--server", SERVER, "--load", LOAD],
                                  capture_output=True, text=True, timeout=PATIENCE)
            said = done.stdout + done.stderr
            self.assertIn(done.returncode, (0, 1), said)
            self.assertTrue((pathlib.Path(folder) / "results.json").is_file(), said)
            results = json.loads((pathlib.Path(folder) / "results.json").read_text(encoding="utf-8"))
            table = (pathlib.Path(folder) / "table.md").read_text(encoding="utf-8")
        self.assertEqual(results["schema"], "sluice-against-live/1")
        self.assertEqual([row["name"] for row in results["rows"]], ["stalled_dependency"])
        row = results["rows"][0]
        self.assertIn(row["state"], {"PASS", "FAIL", "INVALID"})
        self.assertGreaterEqual(row["service_ms"], 20)
        for side in ("simulated", "live"):
            self.assertGreater(row[side]["goodput"], 0)
            self.assertLess(row[side]["goodput"], row[side]["offered"], "nothing is done in the stall")
        self.assertIn("| stalled_dependency |", table)


if __name__ == "__main__":
    unittest.main(verbosity=2)
