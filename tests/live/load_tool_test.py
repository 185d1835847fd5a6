#!/usr/bin/env python3
"""sluice-load as a program: what it returns, what it prints, and that a frozen server cannot hide.

Only lower bounds of time are asserted: what a busy machine adds makes them larger.
"""
import json
import os
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

TOOL = os.environ.get("SLUICE_LOAD", "")
SHOWCASE = pathlib.Path(os.environ.get("SLUICE_EXAMPLES", "")) / "sluice-showcase"


def tool(*arguments, **how):
    return subprocess.run([TOOL, *arguments], text=True, capture_output=True, timeout=120, **how)


class Showcase:
    def __enter__(self):
        self.process = subprocess.Popen([SHOWCASE, "--listen", "127.0.0.1:0", "--loops", "1", "--quiet"],
                                        stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            if line.startswith("listening on "):
                self.url = "http://" + line.split()[-1]
                return self
        raise RuntimeError("the showcase did not start")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        self.process.stderr.close()
        self.process.wait(60)


class Errors(unittest.TestCase):
    """Each kind has its own code and one line."""

    def expect(self, done, code, text):
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        self.assertTrue(done.stderr.startswith("sluice-load: "), done.stderr)
        self.assertIn(text, done.stderr)

    def test_bad_flag(self):
        self.expect(tool("run", "http://127.0.0.1:1/", "--nonsense"), 2, "--nonsense")

    def test_bad_rate(self):
        self.expect(tool("run", "http://127.0.0.1:1/", "-R", "fast"), 2, "fast")

    def test_nobody_listens(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.expect(tool("run", f"http://127.0.0.1:{free.getsockname()[1]}/", "-d", "1s"), 3, "Connection refused")

    def test_no_http(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            def greet():
                while True:
                    try:
                        client, _ = server.accept()
                    except OSError:
                        return
                    with client:
                        client.sendall(b"220 mail\r\n")
            thread = threading.Thread(target=greet, daemon=True)
            thread.start()
            done = tool("run", f"http://127.0.0.1:{server.getsockname()[1]}/", "-d", "1s", "-c", "2",
                        "--server-metrics", "none", "--pid", "0")
            server.shutdown(socket.SHUT_RDWR)
            thread.join(10)
        self.expect(done, 4, "HTTP")

    def test_too_few_descriptors(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (60, 60))
        with Showcase() as server:
            self.expect(tool("run", server.url + "/", "-c", "500", "-d", "1s", preexec_fn=few), 5, "ulimit -n")

    def test_a_file_that_cannot_be_written_is_told_before_the_load(self):
        with Showcase() as server:
            started = time.monotonic()
            done = tool("run", server.url + "/", "-d", "60s", "-o", "/nonexistent/x.json")
            self.expect(done, 2, "/nonexistent/x.json")
            self.assertLess(time.monotonic() - started, 60)


class Runs(unittest.TestCase):
    def measure(self, url, *arguments, during=None):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "result.json"
            process = subprocess.Popen([TOOL, "run", url, *arguments, "-o", path], stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
            if during:
                during(process)
            out, err = process.communicate(timeout=120)
            self.assertIn(process.returncode, (0, 7, 130), err)
            return process.returncode, out, json.loads(path.read_text())

    def test_a_frozen_server_cannot_hide(self):
        with Showcase() as server:
            def freeze(_):
                time.sleep(1.5)
                server.process.send_signal(signal.SIGSTOP)
                time.sleep(1)
                server.process.send_signal(signal.SIGCONT)
            _, out, result = self.measure(server.url + "/", "-R", "2k", "-c", "16", "-d", "5s", during=freeze)
        self.assertEqual(result["planned"], 10_000)
        self.assertGreaterEqual(result["classes"]["2xx"]["latency_us"]["p99"], 900_000)
        longest = max(result["silences"], key=lambda silence: silence["to_s"] - silence["from_s"])
        self.assertGreater(longest["to_s"] - longest["from_s"], 0.9)
        self.assertIn("no answer", out.replace("\n            ", " "))

    def test_a_frozen_generator_makes_the_run_invalid(self):
        with Showcase() as server:
            def freeze(process):
                time.sleep(1)
                process.send_signal(signal.SIGSTOP)
                time.sleep(0.5)
                process.send_signal(signal.SIGCONT)
            code, out, result = self.measure(server.url + "/", "-R", "500", "-c", "8", "-d", "3s", during=freeze)
        self.assertEqual(code, 7)
        self.assertFalse(result["valid"])
        self.assertIn("INVALID", out)
        self.assertTrue(result["generator"]["stalls"])

    def test_an_interrupt_prints_what_there_is(self):
        with Showcase() as server:
            def interrupt(process):
                time.sleep(1)
                process.send_signal(signal.SIGINT)
            code, out, result = self.measure(server.url + "/", "-R", "200", "-d", "60s", during=interrupt)
        self.assertEqual(code, 130)
        self.assertLess(result["duration_s"], 60)
        self.assertIn("2xx", out)
        self.assertEqual(sum(each["count"] for each in result["classes"].values()), result["planned"])

    def test_watches_the_server_without_being_told(self):
        with Showcase() as server:
            _, _, result = self.measure(server.url + "/sleep?ms=5", "-R", "100", "-d", "3s")
        self.assertTrue(result["server"])
        self.assertIn("sleep", {lane["name"] for lane in result["server"][0]["lanes"]})
        self.assertTrue(any(sample["rss_bytes"] for sample in result["server"]))


class Search(unittest.TestCase):
    def test_finds_a_limit_and_writes_every_kind_of_file(self):
        with Showcase() as server, tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            done = tool("search", server.url + "/sleep?ms=20", "--arrival", "constant", "--no-self-check", "--warmup",
                        "200ms", "--window", "500ms", "--stage", "500ms", "--confirm", "1s", "-o", folder / "s.json",
                        "--html", folder / "s.html", "--csv", folder / "s.csv", "--hgrm", folder / "s")
            self.assertIn(done.returncode, (0, 7), done.stderr)
            result = json.loads((folder / "s.json").read_text())
            self.assertEqual(result["kind"], "search")
            self.assertGreater(result["capacity_rps"], 0)
            # 16 permits of 20 ms: no machine makes it faster.
            self.assertLess(result["ceiling_rps"], 900)
            stages = {probe["stage"] for probe in result["probes"]}
            self.assertLessEqual({"ceiling", "climb", "confirm", "curve", "overload", "recovery"}, stages)
            for probe in result["probes"]:
                run = probe["run"]
                self.assertEqual(sum(each["count"] for each in run["classes"].values()), run["planned"])
            self.assertIn("<!doctype html>", (folder / "s.html").read_text().lower())
            self.assertTrue((folder / "s.csv").read_text().count("\n") > 1)
            self.assertTrue(list(folder.glob("s.*.hgrm")))


if __name__ == "__main__":
    if not TOOL or not os.access(TOOL, os.X_OK):
        print("skipped: SLUICE_LOAD names no program")
        sys.exit(0)
    unittest.main(verbosity=2)
