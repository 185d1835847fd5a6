#!/usr/bin/env python3
"""Bodies that come and go in pieces, and files, asked of the showcase by curl and over bare sockets. What is large is
counted in bytes and memory, never in seconds."""
import contextlib
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time
import unittest
import zlib

from examples_test import PATIENCE, SOURCES, Running, Together, program, tool

TRANSFER_BYTES = 256 * 1024 * 1024
MEMORY_BYTES_MAX = 32 * 1024 * 1024
SITE = SOURCES / "site"


def memory_of(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return {name: int(re.search(rf"^{name}:\s+(\d+) kB$", text, re.M).group(1)) * 1024 for name in ("VmRSS", "VmHWM")}


def forget_peak(process):
    pathlib.Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")


def is_sanitized(process):
    """Then it keeps what was freed, and takes its time."""
    maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
    return re.search(r"lib[at]san", maps) is not None


class Bodies(Together):
    command = ("sluice-showcase", "--listen", "127.0.0.1:0", "--loops", "1", "--quiet")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sanitized = is_sanitized(cls.server.process)
        cls.bytes = TRANSFER_BYTES // 16 if cls.sanitized else TRANSFER_BYTES

    def expect_little_memory(self, transfer):
        forget_peak(self.server.process)
        before = memory_of(self.server.process)["VmRSS"]
        transfer()
        if not self.sanitized:
            self.assertLess(memory_of(self.server.process)["VmHWM"] - before, MEMORY_BYTES_MAX)

    def url(self, path):
        return f"http://{self.server.address}{path}"

    def curl(self, *arguments, **options):
        done = subprocess.run([tool("curl"), "--silent", "--show-error", *map(str, arguments)], capture_output=True,
                              timeout=5 * PATIENCE, check=False, **options)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def connect(self):
        host, port = self.server.address.rsplit(":", 1)
        return socket.create_connection((host, int(port)), PATIENCE)

    def talk(self, request):
        """Sends bytes, reads until the end."""
        with self.connect() as connection:
            connection.sendall(request)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    # ---- in

    def test_an_upload_of_any_size_costs_no_memory(self):
        piece = os.urandom(1024 * 1024)
        with tempfile.NamedTemporaryFile() as file:
            checksum = 0
            for _ in range(self.bytes // len(piece)):
                file.write(piece)
                checksum = zlib.crc32(piece, checksum)
            file.flush()
            self.curl("--data-binary", "x", self.url("/upload"))  # warm

            def transfer():
                for framing in ((), ("-H", "Transfer-Encoding: chunked")):
                    found = json.loads(self.curl("-T", file.name, "-X", "POST", *framing, self.url("/upload")))
                    self.assertEqual(found, {"bytes": self.bytes, "crc32": f"{checksum:08x}"})

            self.expect_little_memory(transfer)

    def test_trailers_are_given_and_those_that_frame_are_not(self):
        answer = self.talk(b"POST /upload HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                           b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nContent-Length: 9\r\n\r\n")
        self.assertEqual(json.loads(answer.split(b"\r\n\r\n", 1)[1]),
                         {"bytes": 3, "crc32": f"{zlib.crc32(b'abc'):08x}", "trailers": {"X-Sum": "1"}})

    def test_an_upload_that_is_refused_early_says_why(self):
        size = 5 * 1024 * 1024 * 1024
        for fields in (b"", b"Expect: 100-continue\r\n"):
            with self.connect() as connection:
                connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\n" + fields +
                                   f"Content-Length: {size}\r\n\r\n".encode())
                if not fields:
                    with contextlib.suppress(OSError):
                        connection.sendall(b"x" * 100_000)
                self.assertTrue(connection.recv(65536).startswith(b"HTTP/1.1 413 "))

    def test_the_first_read_invites_the_body(self):
        with self.connect() as connection:
            connection.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
            self.assertEqual(connection.recv(65536), b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.sendall(b"hello")
            self.assertIn(b'"bytes":5', connection.recv(65536))

    # ---- out

    def test_a_download_of_any_size_costs_no_memory(self):
        self.curl("-o", os.devnull, self.url("/stream?bytes=1000"))  # warm

        def transfer():
            for framing in ("", "&length=true"):
                size = self.curl("-o", os.devnull, "-w", "%{size_download}",
                                 self.url(f"/stream?bytes={self.bytes}{framing}"))
                self.assertEqual(int(size), self.bytes)

        self.expect_little_memory(transfer)

    def test_a_stream_is_framed_as_its_client_understands(self):
        chunked = self.talk(b"GET /stream?bytes=10 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertIn(b"\r\nTransfer-Encoding: chunked\r\n", chunked)
        self.assertTrue(chunked.endswith(b"\r\n\r\na\r\n0123456789\r\n0\r\n\r\n"), chunked)
        known = self.talk(b"GET /stream?bytes=10&length=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertIn(b"\r\nContent-Length: 10\r\n", known)
        self.assertTrue(known.endswith(b"\r\n\r\n0123456789"), known)
        old = self.talk(b"GET /stream?bytes=10 HTTP/1.0\r\n\r\n")
        self.assertNotIn(b"Transfer-Encoding", old)
        self.assertTrue(old.endswith(b"\r\n\r\n0123456789"), old)
        head = self.talk(b"HEAD /stream?bytes=10 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertTrue(head.endswith(b"\r\n\r\n"), head)

    def test_a_client_that_leaves_in_the_middle_is_no_trouble(self):
        for _ in range(20):
            with self.connect() as connection:
                connection.sendall(b"GET /stream?bytes=100000000 HTTP/1.1\r\nHost: x\r\n\r\n")
                self.assertTrue(connection.recv(1000))
        self.expect(self.server.get("/"), 200, "Hello, World!")

    # ---- forms

    def test_both_kinds_of_form(self):
        with tempfile.NamedTemporaryFile(suffix=".bin") as file:
            data = os.urandom(3_000_000)
            file.write(data)
            file.flush()
            found = json.loads(self.curl("-F", "name=Ada Lovelace", "-F", f"picture=@{file.name}", self.url("/form")))
        self.assertEqual(found["parts"][0], {"name": "name", "bytes": 12, "crc32": f"{zlib.crc32(b'Ada Lovelace'):08x}"})
        self.assertEqual(found["parts"][1], {"name": "picture", "filename": os.path.basename(file.name),
                                             "bytes": len(data), "crc32": f"{zlib.crc32(data):08x}"})
        found = json.loads(self.curl("--data-urlencode", "a=b&c d", "-d", "e=", self.url("/form")))
        self.assertEqual(found["parts"], [{"name": "a", "bytes": 5, "crc32": f"{zlib.crc32(b'b&c d'):08x}"},
                                          {"name": "e", "bytes": 0, "crc32": "00000000"}])

    def test_forms_that_are_none(self):
        for content_type, body, status in (("text/plain", "a=b", 415), ("multipart/form-data", "x", 400),
                                           ("multipart/form-data; boundary=x", "--x\r\n\r\n", 400),
                                           ("application/x-www-form-urlencoded", "a=%zz", 400)):
            answer = self.server.ask("POST", "/form", body, {"Content-Type": content_type})
            self.expect_problem(answer, status)

    # ---- files

    def test_a_download_that_was_cut_off_is_resumed(self):
        whole = (SITE / "about.txt").read_bytes()
        with tempfile.TemporaryDirectory() as folder:
            part = pathlib.Path(folder) / "part"
            part.write_bytes(whole[:500])
            self.curl("-C", "-", "-o", part, self.url("/static/about.txt"))
            self.assertEqual(part.read_bytes(), whole)

    def test_a_folder_is_served_and_nothing_beside_it(self):
        page = self.server.get("/static/")
        self.expect(page, 200, (SITE / "index.html").read_bytes(), "text/html; charset=utf-8")
        self.expect(self.server.get("/static/sluice.svg"), 200, None, "image/svg+xml")
        self.expect(self.server.get("/file"), 200, (SITE / "about.txt").read_bytes(), "text/plain; charset=utf-8")
        for path in ("/static/../showcase.cpp", "/static/%2e%2e/showcase.cpp", "/static/nothing"):
            self.assertIn(self.server.get(path).status, (400, 404), path)

    def test_a_client_that_has_the_file_is_told_so(self):
        first = self.server.get("/file")
        tag = first.headers["ETag"]
        again = self.server.ask("GET", "/file", headers={"If-None-Match": tag})
        self.expect(again, 304, "")
        self.assertEqual(again.headers["ETag"], tag)
        part = self.server.ask("GET", "/file", headers={"Range": "bytes=5-9", "If-Range": tag})
        self.expect(part, 206, first.body[5:10])


class Gateway(unittest.TestCase):
    def test_an_upload_goes_through_at_the_pace_of_a_slow_service(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            listener.settimeout(PATIENCE)
            service = f"127.0.0.1:{listener.getsockname()[1]}"
            with Running("gateway", service, "127.0.0.1:0") as server:
                size = 64 * 1024 * 1024
                with tempfile.TemporaryFile() as file:
                    file.truncate(size)
                    client = subprocess.Popen(
                        [tool("curl"), "--silent", "--show-error", "-X", "POST", "-T", "-",
                         f"http://{server.address}/forward"], stdin=file, stdout=subprocess.PIPE)
                    taken, _ = listener.accept()
                    with taken:
                        forget_peak(server.process)
                        before = memory_of(server.process)["VmRSS"]
                        received = len(taken.recv(65536))
                        # Nobody reads: the client can't send more than the sockets and windows on the way hold.
                        stalled = self.waits_at(client)
                        self.assertLess(stalled, 24 * 1024 * 1024)
                        while piece := taken.recv(1 << 20):
                            received += len(piece)
                        self.assertEqual(received, size)
                        taken.sendall(b"got it")
                    self.assertEqual(client.communicate(timeout=PATIENCE)[0], b"got it")
                if not is_sanitized(server.process):
                    self.assertLess(memory_of(server.process)["VmHWM"] - before, MEMORY_BYTES_MAX)

    @staticmethod
    def waits_at(process):
        """How much it has read of its input once it reads no more."""
        place = pathlib.Path(f"/proc/{process.pid}/fdinfo/0")
        seen, quiet = -1, 0
        while quiet < 10:
            now = int(re.search(r"pos:\s+(\d+)", place.read_text(encoding="ascii")).group(1))
            quiet = quiet + 1 if now == seen else 0
            seen = now
            time.sleep(0.1)
        return seen

    def test_a_service_that_is_not_there_is_502(self):
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as listener:
            service = f"127.0.0.1:{listener.getsockname()[1]}"
        with Running("gateway", service, "127.0.0.1:0") as server:
            answer = server.ask("POST", "/forward", b"x" * 1000)
            self.assertEqual(answer.status, 502)
            self.assertNotIn(b"connect", answer.body)

    def test_bad_usage_is_told(self):
        done = subprocess.run([program("gateway"), "nowhere"], capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn(b"usage", done.stderr)


if __name__ == "__main__":
    unittest.main()
