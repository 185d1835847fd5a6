"""What run.py asks, and whether a server's answers are right: the load counts bytes, so that this is looked at before."""
import dataclasses
import http.client
import socket

from harness import Failure

HELLO = b"Hello, World!"
BIG_BYTES = 65_536
PATIENCE = 20  # seconds for an answer
IDLE = "idle"


@dataclasses.dataclass
class Workload:
    """`load`: what kernel-load is told, None for wrk with a new connection per request. `bare`: what the bare servers
    are told, for the same work. `answer`: the body, or its size."""
    text: str
    load: list | None
    bare: list
    path: str = "/"
    posted: int = 0
    depth: int = 1
    answer: bytes | int = HELLO


WORKLOADS = {
    "depth-1": Workload("GET /, one at a time", [], []),
    "depth-16": Workload("GET /, 16 pipelined", ["--depth", "16"], [], depth=16),
    "browser": Workload("GET /, a browser's head of about 450 bytes", ["--browser"], []),
    "post": Workload("POST /count, 1 KiB", ["--path", "/count", "--body", "1024"], [], "/count", 1024, answer=b"1024"),
    "big": Workload("GET /big, 64 KiB", ["--path", "/big"], ["--big"], "/big", answer=BIG_BYTES),
    "new-connection": Workload("GET /, a new connection each", None, ["--close"]),
}


def request_of(workload):
    head = f"{'POST' if workload.posted else 'GET'} {workload.path}?n=000 HTTP/1.1\r\nHost: check.test\r\n"
    if workload.load is None:
        head += "Connection: close\r\n"
    if workload.posted:
        head += f"Content-Length: {workload.posted}\r\n"
    return head.encode("ascii") + b"\r\n" + b"x" * workload.posted


def read_answer(file):
    """Status, fields and body."""
    line = file.readline(1024)
    if not line.startswith(b"HTTP/1.1 "):
        raise Failure(f"no answer of HTTP/1.1, but {line!r}")
    fields = http.client.parse_headers(file)
    size = fields.get("Content-Length", "")
    if not size.isdecimal() or int(size) > 1 << 24:
        raise Failure(f"a Content-Length of {size or 'nothing'}")
    return int(line.split()[1]), fields, file.read(int(size))


def check_one(file, expected):
    status, fields, body = read_answer(file)
    if status != 200:
        raise Failure(f"status {status}")
    right = len(body) == expected if isinstance(expected, int) else body == expected
    if not right:
        raise Failure(f"{len(body)} bytes that begin with {body[:32]!r}")
    return sum(len(name) + len(value) for name, value in fields.items()) + len(body)


def check_answers(name, address, workload, bare=False):
    """Asks once, as the load will; a Failure unless all that comes is right. A bare server has one answer to all."""
    expected = workload.answer
    if bare:
        expected = BIG_BYTES if "--big" in workload.bare else HELLO
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as connection, connection.makefile("rb") as file:
            connection.sendall(request_of(workload) * workload.depth)
            sizes = {check_one(file, expected) for _ in range(workload.depth)}
            if len(sizes) > 1:
                raise Failure("answers of more than one size, and the load counts bytes")
            if workload.load is None and file.read(1):
                raise Failure("more than one answer")
    except (Failure, OSError, http.client.HTTPException, ValueError, IndexError) as wrong:
        raise Failure(f"{name} answers {workload.text!r} wrongly: {wrong or type(wrong).__name__}") from None
