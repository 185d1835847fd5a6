#!/usr/bin/env python3
"""The example programs, run and asked as their users would: http.client, curl, node's fetch and wrk against the real
binaries of SLUICE_EXAMPLES, on ports of the kernel's choice. Nothing here depends on how fast the machine is."""
import concurrent.futures
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

PATIENCE = 60  # seconds until something that hangs counts as hanging
EXAMPLES = pathlib.Path(os.environ.get("SLUICE_EXAMPLES", "build/release/examples")).resolve()
SOURCES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def program(name):
    path = EXAMPLES / name
    if not path.is_file():
        raise AssertionError(f"{path} is missing. Build the examples (their packages: cmake/setup.sh), "
                             "or set SLUICE_EXAMPLES to the folder they are in.")
    return str(path)


def tool(name):
    path = shutil.which(name)
    if path is None:
        raise AssertionError(f"{name} is not installed; cmake/setup.sh installs it.")
    return path


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Running:
    """One example program, from its start to its exit code."""

    def __init__(self, name, *arguments):
        self.lines = []
        self.address = None
        self.process = subprocess.Popen([program(name), *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                        text=True)
        self.ready = threading.Event()
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        if not self.ready.wait(PATIENCE) or self.address is None:
            self.process.kill()
            self.reader.join()
            self.process.wait()
            self.process.stdout.close()
            raise AssertionError(f"{name} did not come up:\n" + "".join(self.lines))

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line)
            found = re.match(r"listening on (127\.0\.0\.1:\d+)$", line)
            if found and self.address is None:
                self.address = found.group(1)
                self.ready.set()
        self.ready.set()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        if self.process.poll() is None:
            self.end()
        return False

    def end(self, how=signal.SIGTERM):
        """The exit code after a signal."""
        self.process.send_signal(how)
        return self.wait()

    def wait(self):
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            code = "did not end"
        self.reader.join()
        self.process.stdout.close()
        return code

    def text(self):
        return "".join(self.lines)

    def ask(self, method, path, body=None, headers=None, connection=None):
        own = connection or http.client.HTTPConnection(self.address, timeout=PATIENCE)
        try:
            own.request(method, path, body, headers or {})
            return Answer(own.getresponse())
        finally:
            if connection is None:
                own.close()

    def get(self, path):
        return self.ask("GET", path)


class Case(unittest.TestCase):
    def expect(self, answer, status, body=None, content_type=None):
        self.assertEqual(answer.status, status, answer.body[:300])
        if isinstance(body, str):
            body = body.encode()
        if body is not None:
            self.assertEqual(answer.body, body)
        if content_type is not None:
            self.assertEqual(answer.headers["Content-Type"], content_type)

    def expect_problem(self, answer, status, title=None):
        self.expect(answer, status, content_type="application/problem+json")
        problem = answer.json()
        self.assertEqual(problem["status"], status)
        self.assertTrue(problem["title"])
        self.assertTrue(problem["type"])
        if title is not None:
            self.assertEqual(problem["title"], title)


class Together(Case):
    """Tests that share one server. A subclass names the program in `command`."""
    command = ()

    @classmethod
    def setUpClass(cls):
        cls.server = Running(*cls.command)

    @classmethod
    def tearDownClass(cls):
        code = cls.server.end()
        if code != 0:
            raise AssertionError(f"{cls.command[0]} ended with {code} after SIGTERM:\n{cls.server.text()}")


class Hello(unittest.TestCase):
    # It listens on 8080, as its fifteen lines have no room for flags, and has no ear for SIGTERM.
    def test_answers_ok_or_says_that_the_port_is_taken(self):
        process = subprocess.Popen([program("hello")], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            received = b""
            while process.poll() is None and not received:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", 8080), 1) as connection:
                    connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                    received = b"".join(iter(lambda: connection.recv(4096), b""))
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(1)  # somebody else's server may have answered, while ours was still finding that out
            if process.poll() is not None:
                self.assertIn(b"127.0.0.1:8080", process.stdout.read())
                self.assertNotEqual(process.returncode, 0)
                return
            self.assertTrue(received.startswith(b"HTTP/1.1 200 OK\r\n"), received)
            self.assertIn(b"\r\nContent-Type: text/plain; charset=utf-8\r\n", received)
            self.assertTrue(received.endswith(b"\r\n\r\nok"), received)
        finally:
            process.kill()
            process.wait()
            process.stdout.close()

    def test_is_at_most_fifteen_lines(self):
        self.assertLessEqual(len((SOURCES / "hello.cpp").read_text().splitlines()), 15)


class Api(Together):
    command = ("api", "127.0.0.1:0")

    def add(self, body):
        return self.server.ask("POST", "/v1/books", body, {"Content-Type": "application/json"})

    def test_a_book_is_added_found_listed_and_removed(self):
        book = {"title": "Ünïcode \"quoted\" \\ \n", "year": 1968}
        added = self.add(json.dumps(book))
        self.expect(added, 201, content_type="application/json")
        place = added.headers["Location"]
        book["id"] = int(place.rpartition("/")[2])
        self.assertEqual(added.json(), book)
        self.assertEqual(self.server.get(place).json(), book)
        listed = self.server.get(f"/v1/books?from={book['id']}&count=1")
        self.assertEqual(listed.json(), {"books": [book]})
        self.expect(self.server.ask("DELETE", place), 204, "")
        self.expect_problem(self.server.get(place), 404, "No such book")
        self.expect_problem(self.server.ask("DELETE", place), 404, "No such book")

    def test_bad_input_is_a_problem(self):
        for body in ("", "{", "[]", '"', '{"title":"a"}', '{"title":1,"year":2}', '{"title":"a","year":"b"}',
                     b'{"title":"\xff","year":1}'):
            with self.subTest(body=body):
                self.expect_problem(self.add(body), 400)
        self.expect_problem(self.add('{"title":"","year":1}'), 422)
        for path in ("/v1/books/x", "/v1/books/-1", "/v1/books?count=0", "/v1/books?count=101", "/v1/books?from=1x"):
            with self.subTest(path=path):
                self.expect_problem(self.server.get(path), 400)

    def test_the_middleware_sees_every_answer_of_its_group_and_no_other(self):
        self.assertEqual(self.server.get("/v1/books").headers["X-Api-Version"], "1")
        self.assertEqual(self.server.get("/v1/books/x").headers["X-Api-Version"], "1")
        self.assertIsNone(self.server.get("/").headers["X-Api-Version"])

    def test_methods(self):
        refused = self.server.ask("PUT", "/v1/books/1")
        self.expect_problem(refused, 405)
        self.assertEqual({"GET", "HEAD", "DELETE", "OPTIONS"}, set(refused.headers["Allow"].split(", ")))
        self.expect(self.server.ask("OPTIONS", "/v1/books"), 204, "")
        self.expect(self.server.ask("HEAD", "/v1/books"), 200, "", "application/json")


class Blocking(Together):
    command = ("blocking", "127.0.0.1:0")

    def test_reads_the_database(self):
        answer = self.server.get("/users/8")
        self.expect(answer, 200, content_type="application/json")
        self.assertEqual(answer.json(), {"id": 8, "name": "Ada 8", "email": "user8@example.org"})
        self.expect_problem(self.server.get("/users/999999"), 404)
        self.expect_problem(self.server.get("/users/eight"), 400)

    def test_scans_the_table(self):
        users = self.server.get("/users?name=Ada").json()
        self.assertEqual(len(users), 20)
        self.assertTrue(all("Ada" in user["name"] for user in users))
        self.assertEqual(self.server.get("/users?name=%25nobody").json(), [])
        self.expect_problem(self.server.get("/users"), 400)

    def test_writes_the_database_from_many_connections_at_once(self):
        def add(number):
            return self.server.ask("POST", f"/users?name=Ken+{number}&email=ken{number}%40example.org")
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(add, range(40)))
        places = [answer.headers["Location"] for answer in answers if answer.status == 201]
        self.assertEqual(len(places), len(set(places)))
        self.assertTrue(places, [answer.status for answer in answers])
        for answer in answers:
            self.assertIn(answer.status, (201, 503, 504))
        self.assertRegex(self.server.get(places[0]).json()["name"], r"Ken \d+")

    def test_a_query_that_never_ends_is_given_up(self):
        with concurrent.futures.ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(self.server.get, ["/slow"] * 8))  # twice the connections there are
        for answer in answers:
            self.assertIn(answer.status, (503, 504))
            self.expect_problem(answer, answer.status)
        self.assertIn(504, [answer.status for answer in answers])
        for _ in range(PATIENCE):  # and the connections are free again
            answer = self.server.get("/users/1")
            if answer.status == 200:
                break
            time.sleep(1)
        self.expect(answer, 200)
        self.expect(self.server.get("/health"), 200, "ok")


class Async(Together):
    command = ("async", "127.0.0.1:0")

    def publish_until(self, readers, news):
        """Publishes until that many have been reached: when a request has arrived can't be seen from outside."""
        reached = 0
        for _ in range(PATIENCE * 50):
            answer = self.server.ask("POST", "/publish", news)
            self.assertEqual(answer.status, 200)
            reached += int(answer.body.split()[1])
            if reached >= readers:
                return reached
            time.sleep(0.02)
        self.fail(f"{readers} wait, {reached} were reached")

    def test_the_timer_thread_answers(self):
        for ms in (0, 1, 50):
            self.expect(self.server.get(f"/later?ms={ms}"), 200, "answered by the timer thread\n")
        self.expect_problem(self.server.get("/later"), 400)
        self.expect_problem(self.server.get("/later?ms=soon"), 400)

    def test_news_reaches_everyone_who_waits(self):
        with concurrent.futures.ThreadPoolExecutor(50) as threads:
            waiting = [threads.submit(self.server.get, "/wait") for _ in range(50)]
            self.assertEqual(self.publish_until(50, "it works"), 50)
            for answer in waiting:
                self.expect(answer.result(PATIENCE), 200, "it works", "text/plain; charset=utf-8")

    def test_who_leaves_is_no_longer_reached(self):
        # The news may overtake a leave on another loop, so there are several rounds; if leaving had no effect, all of
        # them would reach twenty.
        for _ in range(50):
            gone = []
            for _ in range(20):
                connection = http.client.HTTPConnection(self.server.address, timeout=PATIENCE)
                connection.request("GET", "/wait")
                gone.append(connection)
            self.server.get("/later?ms=50")
            for connection in gone:
                connection.close()
            if self.server.ask("POST", "/publish", body=b"who is left?").body == b"reached 0\n":
                return
        self.fail("those who had left were reached in every round")

    def test_who_waits_does_not_hold_up_the_end(self):
        with Running("async", "127.0.0.1:0") as server:
            with socket.create_connection(server.address.split(":"), PATIENCE) as connection:
                connection.sendall(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n")
                server.get("/later?ms=1")
                self.assertEqual(server.end(), 0)


class Showcase(Together):
    command = ("sluice-showcase", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0")

    def test_plain_answers(self):
        self.expect(self.server.get("/"), 200, "Hello, World!", "text/plain; charset=utf-8")
        self.expect(self.server.get("/health"), 200, "ok", "text/plain; charset=utf-8")
        big = self.server.get("/big")
        self.expect(big, 200)
        self.assertEqual(len(big.body), 65536)
        head = self.server.ask("HEAD", "/big")
        self.expect(head, 200, "")
        self.assertEqual(head.headers["Content-Length"], "65536")

    def test_echo_and_count(self):
        for size in (0, 1, 3000, 70_000, 4 * 1024 * 1024):
            body = os.urandom(size)
            answer = self.server.ask("POST", "/echo", body, {"Content-Type": "application/x-test"})
            self.expect(answer, 200, body, "application/x-test")
            self.expect(self.server.ask("POST", "/count", body), 200, str(size), "text/plain; charset=utf-8")
        chunked = self.server.ask("POST", "/echo", iter([b"abc", b"d" * 10_000, b"e"]))
        self.expect(chunked, 200, b"abc" + b"d" * 10_000 + b"e")
        self.assertIsNone(chunked.headers["Content-Type"])

    def test_a_body_above_the_limit_is_413(self):
        with contextlib.closing(http.client.HTTPConnection(self.server.address, timeout=PATIENCE)) as connection:
            connection.putrequest("POST", "/echo")
            connection.putheader("Content-Length", str(4 * 1024 * 1024 + 1))
            connection.endheaders()
            self.expect_problem(Answer(connection.getresponse()), 413)

    def test_users(self):
        answer = self.server.get("/users/42")
        self.expect(answer, 200, content_type="application/json")
        self.assertEqual(answer.json(), {"id": 42, "name": "Grace 42", "email": "user42@example.org"})
        self.expect_problem(self.server.get("/users/forty-two"), 400)
        for missing in ("0", "5001", str(2**64 - 1)):
            self.expect_problem(self.server.get("/users/" + missing), 404)
        self.expect_problem(self.server.get("/users/" + str(2**64)), 400)

    def test_math(self):
        self.expect(self.server.get("/math/plus?x=1&y=2"), 200, '{"total":3}', "application/json")
        self.expect(self.server.get("/math/plus?x=-5&y=2"), 200, '{"total":-3}')
        for query in ("", "?x=1", "?x=1&y=", "?x=1&y=2.5", "?x=9223372036854775807&y=1"):
            self.expect_problem(self.server.get("/math/plus" + query), 400)
        self.expect(self.server.ask("POST", "/math/plus", '{"x":1,"y":2}'), 200, '{"total":3}', "application/json")
        self.expect(self.server.ask("POST", "/math/plus", ' {"z":[{}],"y":2 , "x":-7}\n'), 200, '{"total":-5}')
        for body in ("", "{", "[1,2]", '{"x":1}', '{"x":1,"y":"2"}', '{"x":1,"y":2.5}', '{"x":1,"y":2} {}', "null",
                     b'{"x":1,"y":2,"\xff":3}', '{"x":9223372036854775807,"y":1}'):
            with self.subTest(body=body):
                self.expect_problem(self.server.ask("POST", "/math/plus", body), 400)

    def test_blocking_and_later(self):
        self.expect(self.server.get("/sleep?ms=5"), 200, "slept 5 ms\n")
        self.expect(self.server.get("/other/sleep?ms=5"), 200, "slept 5 ms\n")
        self.expect(self.server.get("/spin?us=100"), 200, "spun for 100 us\n")
        self.expect(self.server.get("/later?ms=5"), 200, "answered after 5 ms\n")
        for path in ("/sleep", "/other/sleep?ms=x", "/spin?us=-1", "/later?ms="):
            self.expect_problem(self.server.get(path), 400)

    def test_a_spent_budget_is_504_and_its_outcome_unknown(self):
        answer = self.server.get("/sleep?ms=1000")
        self.expect_problem(answer, 504)
        self.assertEqual(answer.headers["X-Request-Outcome"], "unknown")

    def test_failures(self):
        for path in ("/throw", "/drop"):
            answer = self.server.get(path)
            self.expect_problem(answer, 500)
            self.assertNotIn(b"the log", answer.body)
        self.expect_problem(self.server.get("/raise"), 418, "I'm a teapot")
        self.expect_problem(self.server.get("/nowhere"), 404)
        refused = self.server.ask("POST", "/users/1", "x")
        self.expect_problem(refused, 405)
        self.assertEqual({"GET", "HEAD", "OPTIONS"}, set(refused.headers["Allow"].split(", ")))

    def test_every_failure_keeps_the_connection(self):
        with contextlib.closing(http.client.HTTPConnection(self.server.address, timeout=PATIENCE)) as connection:
            for path, status in (("/throw", 500), ("/drop", 500), ("/raise", 418), ("/users/x", 400), ("/nowhere", 404),
                                 ("/", 200)):
                self.assertEqual(self.server.ask("GET", path, connection=connection).status, status)
                self.assertIsNotNone(connection.sock, path)

    def test_counters_and_report(self):
        self.server.get("/sleep?ms=1")
        counters = self.server.get("/counters")
        self.expect(counters, 200, content_type="application/json")
        self.assertEqual(set(counters.json()), {"lanes", "total", "connections", "loops"})
        lanes = counters.json()["lanes"]
        for name in ("sleep", "other", "spin", "users", "later"):
            self.assertIn(name, lanes)
        for field in ("received", "shed", "queued", "inline", "started", "expired", "cancelled", "evicted", "stale",
                      "drained", "responded", "raised", "timed_out", "abandoned", "dropped", "thrown", "late", "depth",
                      "in_flight", "limit", "zombies", "started_after_deadline", "loop_stalls"):
            self.assertIn(field, lanes["sleep"])
        self.assertGreater(sum(loop["turns"] for loop in counters.json()["loops"]), 0)
        self.assertGreaterEqual(lanes["sleep"]["responded"], 1)
        self.assertEqual(lanes["sleep"]["limit"], 16)
        report = self.server.get("/report")
        self.expect(report, 200, content_type="application/json")
        self.assertEqual(report.json()["pool_threads"], 32)
        self.assertEqual(len(report.json()["addresses"]), 2)

    def test_many_wait_for_a_later_answer(self):
        connections = []
        try:
            for _ in range(200):
                connection = socket.create_connection(self.server.address.split(":"), PATIENCE)
                connection.sendall(b"GET /later?ms=300 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                connections.append(connection)
            for connection in connections:
                received = b"".join(iter(lambda: connection.recv(4096), b""))
                self.assertTrue(received.startswith(b"HTTP/1.1 200 OK\r\n"), received)
        finally:
            for connection in connections:
                connection.close()

    def test_curl(self):
        run = subprocess.run([tool("curl"), "-s", "-S", "-m", str(PATIENCE), "-i", "-d", '{"x":19,"y":23}',
                              f"http://{self.server.address}/math/plus", f"http://{self.server.address}/math/plus?x=1&y=1"],
                             capture_output=True, text=True, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn('{"total":42}', run.stdout)
        with tempfile.NamedTemporaryFile() as file:  # a large body: curl asks first, with Expect: 100-continue
            file.write(os.urandom(2 * 1024 * 1024))
            file.flush()
            for more in ([], ["-H", "Transfer-Encoding: chunked"], ["-0"]):
                run = subprocess.run([tool("curl"), "-s", "-S", "-m", str(PATIENCE), "--data-binary", "@" + file.name,
                                      *more, f"http://{self.server.address}/count"], capture_output=True, text=True,
                                     check=False)
                self.assertEqual((run.returncode, run.stdout), (0, str(2 * 1024 * 1024)), run.stderr)

    def test_node_fetch(self):
        script = """
            const base = process.argv[1];
            const plus = await fetch(base + '/math/plus', {method: 'POST', body: JSON.stringify({x: 1, y: 2})});
            const big = await (await fetch(base + '/big')).text();
            const echo = await fetch(base + '/echo', {method: 'POST', body: 'é'.repeat(100000)});
            const all = await Promise.all([...Array(50).keys()].map((i) => fetch(`${base}/later?ms=${i}`)));
            const problem = await fetch(base + '/users/x');
            console.log(JSON.stringify([(await plus.json()).total, big.length, (await echo.text()).length,
              all.filter((answer) => answer.status === 200).length, problem.status, (await problem.json()).status]));
        """
        run = subprocess.run([tool("node"), "--input-type=module", "-e", script, f"http://{self.server.address}"],
                             capture_output=True, text=True, timeout=PATIENCE, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(run.stdout), [3, 65536, 100000, 50, 400, 400])

    def test_wrk(self):
        for path in ("/", "/big"):
            run = subprocess.run([tool("wrk"), "-t1", "-c32", "-d1s", f"http://{self.server.address}{path}"],
                                 capture_output=True, text=True, timeout=PATIENCE, check=False)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertRegex(run.stdout, r"[1-9]\d* requests in")
            self.assertNotIn("Non-2xx", run.stdout)
            self.assertNotIn("Socket errors", run.stdout)


class Flags(Case):
    def run_to_its_end(self, *arguments):
        run = subprocess.run([program(arguments[0]), *arguments[1:]], capture_output=True, text=True, timeout=PATIENCE,
                             check=False)
        return run.returncode, run.stderr

    def test_a_port_in_use_is_said_and_is_a_failure(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            for command in (("sluice-showcase", "--listen", address), ("api", address), ("blocking", address),
                            ("async", address)):
                code, said = self.run_to_its_end(*command)
                self.assertGreater(code, 0)
                self.assertIn(address, said)
                self.assertIn("in use", said)

    def test_bad_flags_are_said(self):
        for flags in (["--io", "kqueue"], ["--loops", "0"], ["--workers", "x"], ["--head-timeout", "0"],
                      ["--listen", "nowhere"], ["--listen"], ["--nonsense"], ["--record", "/nowhere/day.csv"]):
            with self.subTest(flags=flags):
                code, said = self.run_to_its_end("sluice-showcase", *flags)
                self.assertGreater(code, 0)
                self.assertIn((flags + flags)[1].lstrip("-"), said)

    def test_io_uring_serves_or_is_a_start_error(self):
        try:
            server = Running("sluice-showcase", "--io", "io_uring", "--listen", "127.0.0.1:0")
        except AssertionError as ended:
            self.assertIn("io_uring", str(ended))
            code, _ = self.run_to_its_end("sluice-showcase", "--io", "io_uring", "--listen", "127.0.0.1:0")
            self.assertGreater(code, 0)
            return
        with server:
            self.assertEqual(server.get("/report").json()["backend"], "io_uring")

    def test_flags_reach_the_server(self):
        with tempfile.TemporaryDirectory() as folder:
            path = folder + "/socket"
            with Running("sluice-showcase", "--io", "epoll", "--loops", "1", "--workers", "3", "--head-timeout", "1500",
                         "--quiet", "--listen", "127.0.0.1:0", "--listen", "unix:" + path) as server:
                report = server.get("/report").json()
                self.assertEqual((report["backend"], report["loops"], report["pool_threads"]), ("epoll", 1, 3))
                self.assertEqual(report["limits"]["head_timeout_ms"], 1500)
                self.assertEqual(report["limits"]["body_grace_ms"], 1500)
                run = subprocess.run([tool("curl"), "-s", "--unix-socket", path, "http://x/"], capture_output=True,
                                     text=True, timeout=PATIENCE, check=False)
                self.assertEqual(run.stdout, "Hello, World!")
                self.assertEqual(server.get("/sleep?ms=1").status, 200)
                self.assertEqual(server.end(), 0)
                self.assertEqual(len(server.lines), 2, server.text())  # what it listens on, and nothing else

    def test_a_slow_head_and_a_stalled_body_are_closed(self):
        with Running("sluice-showcase", "--quiet", "--head-timeout", "300", "--listen", "127.0.0.1:0") as server:
            for sent in (b"GET / HT", b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"):
                with socket.create_connection(server.address.split(":"), PATIENCE) as connection:
                    connection.sendall(sent)
                    received = b"".join(iter(lambda: connection.recv(4096), b""))
                    self.assertTrue(received.startswith(b"HTTP/1.1 408 "), received)


class Ending(Case):
    def test_each_drains_on_sigterm_and_on_sigint(self):
        for command in (("sluice-showcase", "--listen", "127.0.0.1:0"), ("api", "127.0.0.1:0"),
                        ("blocking", "127.0.0.1:0"), ("async", "127.0.0.1:0")):
            for how in (signal.SIGTERM, signal.SIGINT):
                with self.subTest(command=command[0], how=how), Running(*command) as server:
                    self.assertEqual(server.end(how), 0)

    def test_what_is_in_progress_gets_its_answer(self):
        with Running("sluice-showcase", "--listen", "127.0.0.1:0") as server:
            with concurrent.futures.ThreadPoolExecutor(4) as threads:
                waiting = [threads.submit(server.get, "/later?ms=1500") for _ in range(4)]
                while server.get("/counters").json()["lanes"]["later"]["in_flight"] < 4:
                    time.sleep(0.01)
                code = server.end()
                for answer in waiting:
                    self.expect(answer.result(PATIENCE), 200, "answered after 1500 ms\n")
                    self.assertEqual(answer.result().headers["Connection"], "close")
            self.assertEqual(code, 0)
            self.assertIn("drained: 4 requests in progress finished, 0 cut", server.text())

    def test_a_second_signal_ends_it_at_once(self):
        with Running("sluice-showcase", "--listen", "127.0.0.1:0") as server:
            with socket.create_connection(server.address.split(":"), PATIENCE) as connection:
                connection.sendall(b"GET /later?ms=60000 HTTP/1.1\r\nHost: x\r\n\r\n")
                while server.get("/counters").json()["lanes"]["later"]["in_flight"] < 1:
                    time.sleep(0.01)
                server.process.send_signal(signal.SIGTERM)
                while True:  # draining: new connections are refused
                    try:
                        socket.create_connection(server.address.split(":"), PATIENCE).close()
                        time.sleep(0.01)
                    except OSError:
                        break
                self.assertEqual(server.end(), 0)

    def test_load_and_sigterm_cut_no_answer_short(self):
        with Running("sluice-showcase", "--quiet", "--listen", "127.0.0.1:0") as server:
            burst = subprocess.Popen([sys.executable, "-B", str(SOURCES / "burst.py"), server.address, "/sleep?ms=5", "/big",
                                      "--rate", "500", "--seconds", str(PATIENCE), "--connections", "100",
                                      "--until-closed"], stdout=subprocess.PIPE, text=True)
            while server.get("/counters").json()["lanes"]["sleep"]["received"] < 50:
                time.sleep(0.01)
            self.assertEqual(server.end(), 0)
            said, _ = burst.communicate(timeout=PATIENCE)
            self.assertEqual(burst.returncode, 0, said)
            self.assertIn("cut short: 0,", said)


if __name__ == "__main__":
    unittest.main(verbosity=2)
