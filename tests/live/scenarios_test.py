#!/usr/bin/env python3
"""The scenario files of bench/scenarios, each run for a second by sluice-load (SLUICE_LOAD) against the showcase (of
SLUICE_EXAMPLES). What came back is counted; no time is judged, since the machine may be busy with something else."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCENARIOS = ROOT / "bench" / "scenarios"
EXAMPLES = pathlib.Path(os.environ.get("SLUICE_EXAMPLES", "build/release/examples")).resolve()
LOAD = os.environ.get("SLUICE_LOAD")
PATIENCE = 120  # seconds until something that hangs counts as hanging
WRITTEN = (0, 7)  # 7: the machine was too busy for the times to count; they are not looked at here

sys.dont_write_bytecode = True
sys.path.insert(0, str(SCENARIOS))

from harness import Server  # noqa: E402

OUTCOMES = {"2xx", "429", "503", "504", "other", "broken", "connect_error", "gave_up", "unanswered"}
PERCENTILES = {"p50", "p75", "p90", "p99", "p999", "p9999", "p99999", "max", "mean"}
COUNTS = {"planned", "sent", "unsent", "retried", "connects", "connect_failures", "bytes_sent", "bytes_received"}
RUN = COUNTS | {
    "schema", "kind", "name", "command", "target", "started_at", "environment", "config", "valid", "invalid",
    "warnings", "covers", "duration_s", "offered_rps", "answered_rps", "goodput_rps", "error_ratio", "unanswered",
    "classes", "all_us", "all_at_least", "connect_us", "connection_wait_us", "send_lag_us", "spectrum", "generator",
    "shape", "silences", "series", "server", "clients"}
CLIENTS = COUNTS | {"name", "background", "classes", "all_us"}
ENVIRONMENT = {"version", "build", "compiler", "commit", "host", "kernel", "cpu", "cpus", "memory_bytes", "mitigations",
               "descriptors_max", "generator_cpus"}


def files():
    return sorted(SCENARIOS.glob("*.json"))


class Files(unittest.TestCase):
    def test_each_has_a_name_of_its_own_and_is_in_the_table(self):
        table = (SCENARIOS / "README.md").read_text(encoding="utf-8")
        names = [json.loads(file.read_text(encoding="utf-8"))["name"] for file in files()]
        self.assertGreater(len(names), 0)
        self.assertEqual(len(names), len(set(names)), names)
        for file in files():
            self.assertIn(f"| [{file.name}]({file.name}) |", table)


@unittest.skipUnless(LOAD, "SLUICE_LOAD is not set to the path of sluice-load")
class Scenarios(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        program = EXAMPLES / "sluice-showcase"
        if not program.is_file():
            raise AssertionError(f"{program} is missing. Build the examples, or set SLUICE_EXAMPLES to their folder.")
        cls.server = Server([str(program), "--quiet", "--listen", "127.0.0.1:0"])
        cls.addClassCleanup(cls.server.stop)

    def run_load(self, verb, *arguments):
        """The result; the command's own text if it fails."""
        file = pathlib.Path(self.folder.name) / "result.json"
        file.unlink(missing_ok=True)
        command = [LOAD, verb, f"http://{self.server.address}/", *arguments, "-q", "-o", str(file)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
        self.assertIn(done.returncode, WRITTEN, f"{command}\n{done.stdout}\n{done.stderr}")
        return json.loads(file.read_text(encoding="utf-8"))

    def check_counts(self, part):
        """Every planned request has exactly one outcome."""
        self.assertEqual(set(part["classes"]), OUTCOMES)
        self.assertEqual(sum(outcome["count"] for outcome in part["classes"].values()), part["planned"])
        self.assertLessEqual(part["unsent"], part["planned"])
        for outcome in part["classes"].values():
            self.assertLessEqual({"count", "latency_us", "service_us"}, set(outcome))
            self.assertLessEqual(PERCENTILES, set(outcome["latency_us"]))
        self.assertLessEqual(PERCENTILES, set(part["all_us"]))

    def check_run(self, run):
        self.check_counts(run)
        self.assertEqual(run["unanswered"], run["classes"]["unanswered"]["count"])
        for clients in run["clients"]:
            with self.subTest(clients=clients["name"]):
                self.assertLessEqual(CLIENTS, set(clients))
                self.check_counts(clients)
        measured = [clients for clients in run["clients"] if not clients["background"]]
        for count in COUNTS:
            self.assertEqual(run[count], sum(clients[count] for clients in measured), count)
        for outcome in OUTCOMES:
            self.assertEqual(run["classes"][outcome]["count"],
                             sum(clients["classes"][outcome]["count"] for clients in measured), outcome)

    def test_each_runs_and_every_planned_request_has_one_outcome(self):
        for file in files():
            with self.subTest(scenario=file.name):
                run = self.run_load("run", "--scenario", str(file), "-d", "1s")
                scenario = json.loads(file.read_text(encoding="utf-8"))
                self.assertLessEqual(RUN, set(run), RUN - set(run))
                self.assertLessEqual(ENVIRONMENT, set(run["environment"]))
                self.assertEqual((run["schema"], run["kind"], run["name"]), ("sluice-load/1", "run", scenario["name"]))
                self.assertEqual({clients["name"]: clients["background"] for clients in run["clients"]},
                                 {clients["name"]: clients.get("background", False) for clients in scenario["clients"]})
                self.assertGreater(run["planned"], 0)
                self.check_run(run)

    def test_a_sweep_has_the_same_for_each_rate(self):
        sweep = self.run_load("sweep", "--scenario", str(SCENARIOS / "steady.json"), "-d", "1s", "--rates", "200,400")
        self.assertEqual((sweep["schema"], sweep["kind"]), ("sluice-load/1", "sweep"))
        self.assertEqual([run["config"]["rate_rps"] for run in sweep["runs"]], [200, 400])
        for run in sweep["runs"]:
            self.check_run(run)


class LoadTestExample(unittest.TestCase):
    def test_passes(self):
        program = EXAMPLES / "load_test"
        if not program.is_file():
            self.skipTest(f"{program} is not built")
        done = subprocess.run([str(program)], capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"(?m)^load_test: passed: ([1-9]\d*) of \1 requests got a 2xx$")


if __name__ == "__main__":
    if not LOAD:
        print("SLUICE_LOAD is not set to the path of sluice-load: the scenarios are not run")
    unittest.main(verbosity=2)
