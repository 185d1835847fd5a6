#!/usr/bin/env python3
"""bench/kernel/run.py beside other servers: what it looks at before it measures, that a server's children count, and a
short run of its own with the peers that are installed. No time is judged."""
import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
KERNEL = ROOT / "bench" / "kernel"
BUILD = pathlib.Path(os.environ.get("SLUICE_EXAMPLES", "build/release/examples")).resolve().parent
PATIENCE = 240  # seconds until something that hangs counts as hanging

sys.dont_write_bytecode = True
sys.path[:0] = [str(KERNEL), str(ROOT / "bench" / "scenarios")]

from harness import Failure  # noqa: E402
from peers import PEERS  # noqa: E402
from probes import Usage, resident_bytes, tree_of  # noqa: E402
from table import Found, overview  # noqa: E402
from workloads import IDLE, WORKLOADS, check_answers  # noqa: E402

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\nHello, World!"


@contextlib.contextmanager
def says(answer):
    """A server that sends these bytes to its first client, and nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        def serve():
            client, _ = server.accept()
            with client:
                client.recv(65_536)
                client.sendall(answer)
                client.shutdown(socket.SHUT_WR)
                while client.recv(65_536):
                    pass
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        thread.join(PATIENCE)


class Answers(unittest.TestCase):
    def expect_wrong(self, answer, workload, text):
        with says(answer) as address, self.assertRaises(Failure) as raised:
            check_answers("it", address, WORKLOADS[workload])
        self.assertTrue(str(raised.exception).startswith("it answers "), raised.exception)
        self.assertIn(text, str(raised.exception))

    def test_right_ones_pass(self):
        count = HELLO.replace(b"13", b"4").replace(b"Hello, World!", b"1024")
        big = HELLO.replace(b"13", b"65536").replace(b"Hello, World!", b"x" * 65_536)
        for workload, answer in (("depth-1", HELLO), ("depth-16", HELLO * 16), ("post", count), ("big", big),
                                 ("new-connection", HELLO)):
            with self.subTest(workload), says(answer) as address:
                check_answers("it", address, WORKLOADS[workload])

    def test_a_bare_server_has_one_answer_to_all(self):
        with says(HELLO) as address:
            check_answers("bare epoll", address, WORKLOADS["post"], bare=True)

    def test_wrong_ones_are_named(self):
        self.expect_wrong(HELLO.replace(b"200 OK", b"404 Not Found"), "depth-1", "status 404")
        self.expect_wrong(HELLO.replace(b"World", b"Earth"), "depth-1", "Hello, Earth!")
        self.expect_wrong(HELLO, "post", "Hello, World!")
        self.expect_wrong(HELLO, "big", "13 bytes")
        self.expect_wrong(HELLO.replace(b"Content-Length: 13", b"Server: odd"), "depth-1", "Content-Length of nothing")
        self.expect_wrong(HELLO + HELLO, "new-connection", "more than one")
        self.expect_wrong(b"220 mail\r\n", "depth-1", "220 mail")
        self.expect_wrong(b"", "depth-1", "no answer")

    def test_answers_of_two_sizes_are_wrong(self):
        other = HELLO.replace(b"\r\n\r\n", b"\r\nServer: odd\r\n\r\n")
        self.expect_wrong(HELLO * 15 + other, "depth-16", "more than one size")

    def test_one_answer_in_place_of_sixteen_is_wrong(self):
        self.expect_wrong(HELLO, "depth-16", "no answer")


class Trees(unittest.TestCase):
    """A process whose child does the work, of its processor's time and of memory."""
    BURNT_SECONDS, TAKEN_BYTES = 0.2, 64 << 20
    CHILD = ("import sys, time\n"
             f"kept = bytearray(b'x') * {TAKEN_BYTES}\n"
             f"while time.process_time() < {BURNT_SECONDS}: pass\n"
             "print('done', flush=True)\n"
             "sys.stdin.read()\n")
    PARENT = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', sys.argv[1]])\n"

    def test_what_a_child_used_counts(self):
        parent = subprocess.Popen([sys.executable, "-c", self.PARENT, self.CHILD], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, text=True)
        with parent:
            try:
                self.assertEqual(parent.stdout.readline(), "done\n")
                tree = tree_of(parent.pid)
                self.assertEqual(len(tree), 2, tree)
                self.assertNotIn(os.getpid(), tree)
                self.assertGreaterEqual(Usage.of(parent.pid).cpu_ns, self.BURNT_SECONDS * 0.9e9)
                self.assertGreaterEqual(resident_bytes(parent.pid), self.TAKEN_BYTES)
            finally:
                parent.stdin.close()
                parent.wait(PATIENCE)


class Overview(unittest.TestCase):
    def test_has_a_row_each_and_says_why_a_cell_is_empty(self):
        runs = {"depth-1": {"bare": [{"cpu_us": 2}, {"cpu_us": 4}, {"cpu_us": 2}],
                            "one": [{"cpu_us": 3}, {"cpu_us": 4}, {"cpu_us": 6}]}}
        found = Found(runs, {}, {"bare": [100]}, {"bare": {}, "one": {IDLE: "it has no memory"}}, 10)
        lines = overview(found, "bare").split("\n")
        self.assertIn("| server | depth-1 | idle, bytes |", lines)
        self.assertIn("| bare | 1.00 (1.00) | 100 |", lines)
        self.assertIn("| one | 1.50 (1.00) | - [1] |", lines)
        self.assertEqual(lines[-1], "* [1] it has no memory")


class Runs(unittest.TestCase):
    def run_script(self, *flags):
        return subprocess.run([sys.executable, "-B", str(KERNEL / "run.py"), "--build", str(BUILD), *flags], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)

    def test_a_peer_that_nobody_knows_is_named(self):
        done = self.run_script("--peers", "h2o,apache")
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertIn("'apache' is none of", done.stderr)

    def test_peers_take_part(self):
        there = [name for name in ("nginx", "h2o", "node") if PEERS[name].command(BUILD)][:2]
        if not there:
            self.skipTest("no other server is installed")
        with tempfile.TemporaryDirectory() as folder:
            done = self.run_script("--rounds", "1", "--seconds", "0.5", "--only", "depth-1", "--only", "post", "--out",
                                   folder, "--peers", ",".join(there))
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            results = json.loads((pathlib.Path(folder) / "results.json").read_text(encoding="utf-8"))
            page = (pathlib.Path(folder) / "table.md").read_text(encoding="utf-8")
        self.assertEqual(set(results["peers"]), set(there))
        for name in ["bare epoll", "sluice epoll", *there]:
            lacks = PEERS[name].lacks if name in PEERS else {}
            for workload in ("depth-1", "post"):
                with self.subTest(name, workload=workload):
                    if workload in lacks:
                        self.assertNotIn(name, results["runs"][workload])
                        self.assertIn(lacks[workload], page)
                    else:
                        self.assertGreater(results["runs"][workload][name][0]["requests"], 0)
                        self.assertGreater(results["ratios"][workload][name][0], 0)
            self.assertIn(f"\n| {name} | ", page)
        for version in results["peers"].values():
            self.assertIn(version, page)


class Studies(unittest.TestCase):
    def run_script(self, *flags):
        return subprocess.run([sys.executable, "-B", str(KERNEL / "study.py"), *flags], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE)

    def test_what_it_is_told_is_checked(self):
        for flags, said in ((["compare", "one=true"], "two servers at least"),
                            (["compare", "true", "false"], "NAME=COMMAND"), (["pool", "one=true"], "takes no servers")):
            with self.subTest(flags=flags):
                done = self.run_script(*flags)
                self.assertEqual(done.returncode, 2, done.stderr)
                self.assertIn(said, done.stderr)

    def test_two_servers_are_compared(self):
        showcase = f"{BUILD / 'examples' / 'sluice-showcase'} --listen 127.0.0.1:0 --loops 1 --quiet --io epoll"
        bare = BUILD / "bench" / "kernel-epoll"
        done = self.run_script("compare", f"one={showcase}", f"other={bare}", "--rounds", "1", "--seconds", "0.5",
                               "--build", str(BUILD))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        for what in ("depth 1", "depth 16", "browser"):
            self.assertRegex(done.stdout, rf"(?m)^{what} +one +[\d.]+ us +1\.00 ")
            self.assertRegex(done.stdout, rf"(?m)^{what} +other +[\d.]+ us +[\d.]+ ")


if __name__ == "__main__":
    unittest.main()
