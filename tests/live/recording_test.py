#!/usr/bin/env python3
"""A recording that the showcase (of SLUICE_EXAMPLES) makes of real requests loads in sluice-sim (beside SLUICE_LOAD) as
it is. Requests are counted and their order looked at; no time is judged but that work takes as long as it sleeps."""
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = pathlib.Path(os.environ.get("SLUICE_EXAMPLES", "build/release/examples")).resolve()
LOAD = os.environ.get("SLUICE_LOAD")
SIM = pathlib.Path(LOAD).resolve().parent / "sluice-sim" if LOAD else None
PATIENCE = 120  # seconds until something that hangs counts as hanging

sys.dont_write_bytecode = True
sys.path.insert(0, str(ROOT / "bench" / "scenarios"))

from harness import Server  # noqa: E402

SERVICE = {"distribution": "fixed", "mean_ms": 1}
SCENARIO = {"warmup_s": 0, "routes": [{"name": name, "service": SERVICE, "in_flight_max": 16, "budget_ms": 60000}
                                      for name in ("GET /sleep", "POST /math/plus", "GET /later", "GET /drop")]}
REQUESTS = [("GET", "/sleep?ms=20", None), ("POST", "/math/plus", '{"x": 1, "y": 2}'), ("GET", "/later?ms=5", None),
            ("GET", "/nowhere", None), ("GET", "/drop", None)]
NAMES = ["GET /sleep", "POST /math/plus", "GET /later", "GET /drop"]
ROUNDS = 20


class Recording(unittest.TestCase):
    def record(self, file):
        """The showcase is ended by SIGTERM, and what it has seen is in the file then."""
        program = EXAMPLES / "sluice-showcase"
        self.assertTrue(program.is_file(), f"{program} is missing. Build the examples, or set SLUICE_EXAMPLES.")
        with Server([str(program), "--quiet", "--listen", "127.0.0.1:0", "--record", str(file)]) as server:
            client = http.client.HTTPConnection(server.address, timeout=PATIENCE)
            for method, target, body in REQUESTS * ROUNDS:
                client.request(method, target, body, {"Content-Type": "application/json"} if body else {})
                client.getresponse().read()
            client.close()

    def test_is_written_by_a_server_and_played_by_sluice_sim(self):
        if SIM is None or not SIM.is_file():
            self.skipTest("sluice-sim is not built, or SLUICE_LOAD is not set")
        with tempfile.TemporaryDirectory() as folder:
            names = ("day.csv", "service.json", "result.json")
            recording, scenario, result = (pathlib.Path(folder) / name for name in names)
            self.record(recording)
            header, *lines = recording.read_text(encoding="utf-8").splitlines()
            self.assertEqual(header, "arrival_us,route,service_us")
            rows = sorted((int(arrival), name, int(service)) for arrival, name, service in
                          (line.split(",") for line in lines))
            self.assertEqual([name for _, name, _ in rows], NAMES * ROUNDS)
            for _, name, service in rows:
                self.assertGreaterEqual(service, {"GET /sleep": 20000, "GET /later": 5000}.get(name, 0), name)
            scenario.write_text(json.dumps(SCENARIO), encoding="utf-8")
            done = subprocess.run([str(SIM), str(scenario), "--replay", str(recording), "--json", str(result)],
                                  capture_output=True, text=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            total = json.loads(result.read_text(encoding="utf-8"))["runs"][0]["total"]
            self.assertEqual(total["offered"], len(rows), total)


if __name__ == "__main__":
    unittest.main(verbosity=2)
