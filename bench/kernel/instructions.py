#!/usr/bin/env python3
"""Instructions that the server spends in user space on one request: the same on every run, so that a change in the hot
path shows on any machine, however busy.

    cmake --preset release && cmake --build --preset release
    bench/kernel/instructions.py                       the figures
    bench/kernel/instructions.py --profile             and where they are spent, by function

A test holds the program counted-server to recorded limits, a set of them for each compiler, since they differ in what
they make of the same source:

    bench/kernel/instructions.py --server build/dev/bench/counted-server --check GNU-12     fails above the limits
    bench/kernel/instructions.py --server build/dev/bench/counted-server --record GNU-12    writes them anew

The server runs under callgrind, twice for each kind of request: a short run and a long one, with one connection and one
request at a time. What the long run spent on top, by the requests it had on top, is the figure, so that start and end
cancel out. Targets and fields differ from request to request, but in `repeated`. What the kernel does is not in it. Beside it stand
the calls of an allocator and, as sluice-showcase counts them, the bytes that the loop copied.
"""
import argparse
import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))

from harness import BUILD, Failure, Server, program, run_script  # noqa: E402

LIMITS = HERE / "instructions.json"
TOLERANCE = 0.03
SHORT_COUNT = 500
PROFILE_DEPTH = 15
SKIPPED = 77  # what a test returns that had nothing to compare with
ALLOCATORS = {"malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"}
SHOWCASE = "sluice-showcase"
SHOWCASE_FLAGS = ["--listen", "127.0.0.1:0", "--loops", "1", "--workers", "1", "--io", "epoll", "--quiet"]


# ---- requests

def plain_get(number):
    """The smallest request a client sends: 40 bytes, the target and the host differ."""
    return f"GET /?n={number % 1000:03} HTTP/1.1\r\nHost: {number % 997:03}.test\r\n\r\n".encode()


def browser_get(number):
    """What a browser sends when it follows a link on the same site: about 450 bytes."""
    return (f"GET /?page={number % 100:02} HTTP/1.1\r\n"
            f"Host: www{number % 10}.example.com\r\n"
            "Connection: keep-alive\r\n"
            "Upgrade-Insecure-Requests: 1\r\n"
            f"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            f"Chrome/1{number % 30:02}.0.0.0 Safari/537.36\r\n"
            "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n"
            f"Referer: http://www.example.com/list/{number % 89:02}\r\n"
            "Accept-Encoding: gzip, deflate, br\r\n"
            f"Accept-Language: {('en-US,en;q=0.9', 'de-DE,de;q=0.9', 'fr-FR,fr;q=0.9')[number % 3]}\r\n"
            f"Cookie: session={number * 2654435761 % 2**32:08x}; theme=dark\r\n\r\n").encode()


def repeated_get(_):
    """What a poll or a health check sends, and most load generators: a server may remember it."""
    return plain_get(1)


REQUESTS = {"get": plain_get, "repeated": repeated_get, "browser": browser_get}


class Client:
    """One connection, one request at a time."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), 60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, request):
        """The answer's body."""
        self.socket.sendall(request)
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self.more()
        head, _, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: (\d+)", head, re.IGNORECASE)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise Failure(f"the server answered {head[:80]!r} to {request[:60]!r}")
        while len(body) < int(length.group(1)):
            body += self.more()
        return body

    def more(self):
        received = self.socket.recv(65536)
        if not received:
            raise Failure("the server closed the connection")
        return received

    def close(self):
        self.socket.close()


# ---- what callgrind wrote

def read_costs(path):
    """({function: instructions, those that it called left out}, calls of an allocator)"""
    names, costs, allocations, function, called, is_call = {}, collections.Counter(), 0, "?", "?", False

    def name_of(text):  # "(7) name" the first time, "(7)" from then on
        number, _, name = text.partition(" ")
        if name:
            names[number] = name
        return names[number]

    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("fn="):
            function = name_of(line[3:])
        elif line.startswith("cfn="):
            called = name_of(line[4:])
        elif line.startswith("calls="):
            is_call = True
            if called in ALLOCATORS and function not in ALLOCATORS:
                allocations += int(line[6:].split()[0])
        elif line and line[0] in "0123456789+-*":
            if not is_call:
                costs[function] += int(line.split()[1])
            is_call = False
    return costs, allocations


def run_once(options, make_request, count, folder):
    """(Costs of a server that answered `count` requests, from its start to its end; calls of an allocator; bytes that
    it copied, None if it does not say)"""
    out = folder / f"callgrind.{count}"
    is_showcase = pathlib.Path(options.server).name == SHOWCASE
    flags = SHOWCASE_FLAGS if is_showcase else []
    copied = None
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--", options.server, *flags]
    with Server(command) as server, contextlib.closing(Client(server.address)) as client:
        for number in range(count):
            client.ask(make_request(number))
        if is_showcase:
            counters = json.loads(client.ask(b"GET /counters HTTP/1.1\r\nHost: counters\r\n\r\n"))
            copied = counters["connections"]["bytes_copied"]
    return *read_costs(out), copied


def measure(options, kind):
    """({function: instructions per request}, what else one request costs, in words)"""
    with tempfile.TemporaryDirectory() as folder:
        few, few_allocations, few_copied = run_once(options, REQUESTS[kind], SHORT_COUNT, pathlib.Path(folder))
        many, allocations, copied = run_once(options, REQUESTS[kind], SHORT_COUNT + options.requests,
                                             pathlib.Path(folder))
    many.subtract(few)
    each = {function: cost / options.requests for function, cost in many.items()}
    also = f"{(allocations - few_allocations) / options.requests:.2f} allocations"
    if copied is not None:
        also += f", {(copied - few_copied) / options.requests:,.0f} bytes copied"
    return each, also


# ---- limits

def check(found, limits):
    """A sentence for each figure that is above its limit."""
    return [f"{kind}: {found[kind]:,.0f} instructions per request, {found[kind] / limit - 1:.1%} above the recorded "
            f"{limit:,}: make it cheaper, or say in the commit why it is worth that and record it anew with --record"
            for kind, limit in limits.items() if found[kind] > limit * (1 + TOLERANCE)]


def read_limits():
    return json.loads(LIMITS.read_text(encoding="utf-8")) if LIMITS.is_file() else {}


def self_test():
    """Whether what is recorded passes, and 4 % more fails."""
    limits = {"get": 2000, "browser": 4000}
    if check({"get": 2000, "browser": 4100}, limits) or len(check({"get": 2090, "browser": 4000}, limits)) != 1:
        raise Failure("the check does not tell 2.5 % from 4.5 %")
    if len(plain_get(123)) != 40 or len(plain_get(999_999)) != 40 or not 440 <= len(browser_get(7)) <= 460:
        raise Failure("the requests have not the size that is said of them")
    return 0


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=BUILD / "examples" / "sluice-showcase", type=pathlib.Path, metavar="FILE",
                        help="sluice-showcase; that of the release build")
    parser.add_argument("--requests", type=int, default=3000, metavar="N", help="that the long run has more; 3000")
    parser.add_argument("--profile", type=int, nargs="?", const=PROFILE_DEPTH, metavar="N",
                        help=f"also the N functions that cost most; {PROFILE_DEPTH}")
    parser.add_argument("--check", metavar="NAME", help="fails above the limits of that name in instructions.json")
    parser.add_argument("--record", metavar="NAME", help="writes them, from what was measured")
    parser.add_argument("--self-test", action="store_true", help="whether --check can fail; measures nothing")
    options = parser.parse_args()
    if not 1000 <= options.requests <= 1_000_000:
        parser.error("--requests: 1000 to 1000000")
    return options


def main():
    options = arguments()
    if options.self_test:
        return self_test()
    if shutil.which("valgrind") is None:
        raise Failure("valgrind is missing. cmake/setup.sh installs it.")
    options.server = program(options.server, "Build the preset release.")
    limits = read_limits()
    if options.check and options.check not in limits:
        print(f"{LIMITS.name} has no limits for {options.check}, only for {', '.join(limits)}: nothing compared")
        return SKIPPED

    found = {}
    for kind, make_request in REQUESTS.items():
        each, also = measure(options, kind)
        found[kind] = sum(each.values())
        print(f"{kind:8} {len(make_request(0)):4} bytes {found[kind]:10,.0f} instructions, {also} per request", flush=True)
        if options.profile:
            for function, cost in sorted(each.items(), key=lambda pair: -pair[1])[:options.profile]:
                print(f"  {cost:9,.1f}  {function}")
    if options.record:
        limits[options.record] = {kind: round(count) for kind, count in found.items()}
        LIMITS.write_text(json.dumps(limits, indent=2) + "\n", encoding="utf-8")
    if options.check:
        for kind, limit in limits[options.check].items():
            if found[kind] < limit * (1 - TOLERANCE):
                print(f"{kind}: {1 - found[kind] / limit:.1%} below the recorded {limit:,}: record it, so that it stays")
        sentences = check(found, limits[options.check])
        for sentence in sentences:
            print(f"above the limit: {sentence}")
        return 1 if sentences else 0
    return 0


if __name__ == "__main__":
    run_script(main)
