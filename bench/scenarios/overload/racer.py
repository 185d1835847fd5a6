#!/usr/bin/env python3
"""Asks for answers that race their own 504, and checks that exactly one comes, byte by byte.

    racer.py 127.0.0.1:8080 --requests 1000000 --connections 256

Every request carries a number that a 200 has to repeat, so an answer too many is seen: it is not the next request's.
Prints one JSON object: answers by status, and up to 20 violations in words.
"""
import argparse
import collections
import errno
import json
import re
import select
import socket
import sys
import time

STATUS = re.compile(rb"HTTP/1\.1 (200|503|504) [\x20-\x7e]+")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)")
VIOLATIONS_MAX = 20
SILENCE_SECONDS = 15  # without any answer: the rest will not come
HEADS_KEPT = 1000     # heads already found good; they differ in their Date alone


class Violation(Exception):
    pass


def read_head(head):
    """Status, length of the body, whether the connection ends. Anything that is not exactly so is a violation."""
    lines = head.split(b"\r\n")
    status = STATUS.fullmatch(lines[0])
    if not status:
        raise Violation(f"status line {lines[0]!r}")
    fields = collections.defaultdict(list)
    for line in lines[1:]:
        field = FIELD.fullmatch(line)
        if not field:
            raise Violation(f"field line {line!r}")
        fields[field.group(1).lower()].append(field.group(2))
    length = fields.get(b"content-length", [])
    if len(length) != 1 or not length[0].isdigit() or b"transfer-encoding" in fields:
        raise Violation(f"framing: content-length {length}, transfer-encoding {fields.get(b'transfer-encoding')}")
    return int(status.group(1)), int(length[0]), fields.get(b"connection") == [b"close"]


class Racer:
    """One connection, one request at a time."""

    def __init__(self):
        self.socket, self.number, self.received = None, None, b""


class Race:
    def __init__(self, options):
        host, _, port = options.address.rpartition(":")
        self.where, self.wanted = (host, int(port)), options.requests
        self.poll = select.epoll()
        self.racers = [Racer() for _ in range(options.connections)]
        self.by_fd, self.heads = {}, {}
        self.sent, self.statuses, self.violations, self.reconnects = 0, collections.Counter(), [], -len(self.racers)

    def violated(self, racer, what):
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(f"request {racer.number}: {what}")

    def connect(self, racer):
        self.reconnects += 1
        racer.socket = socket.create_connection(self.where, timeout=5)
        racer.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        racer.socket.setblocking(False)
        racer.received = b""
        self.by_fd[racer.socket.fileno()] = racer
        self.poll.register(racer.socket, select.EPOLLIN)

    def close(self, racer):
        self.poll.unregister(racer.socket)
        del self.by_fd[racer.socket.fileno()]
        racer.socket.close()

    def ask(self, racer):
        """The next request, if there is one left."""
        racer.number = None
        if self.sent == self.wanted:
            return
        racer.number = self.sent
        self.sent += 1
        racer.socket.send(b"GET /race?n=%d HTTP/1.1\r\nHost: race\r\n\r\n" % racer.number)

    def answered(self, racer):
        """One complete answer in what was received, and nothing behind it. False: not complete yet."""
        end = racer.received.find(b"\r\n\r\n")
        if end < 0:
            return False
        head = racer.received[:end]
        found = self.heads.get(head)
        if found is None:
            found = read_head(head)
            if len(self.heads) >= HEADS_KEPT:
                self.heads.clear()
            self.heads[head] = found
        status, length, closes = found
        body = racer.received[end + 4:end + 4 + length]
        if len(body) < length:
            return False
        if len(racer.received) > end + 4 + length:
            raise Violation(f"{status}, and bytes behind it: {racer.received[end + 4 + length:][:80]!r}")
        if status == 200:
            if body != b"race %d\n" % racer.number:
                raise Violation(f"another one's answer {body[:80]!r}")
        elif json.loads(body)["status"] != status:
            raise Violation(f"{status} with the body {body[:80]!r}")
        self.statuses[status] += 1
        racer.received = b""
        if closes:
            self.close(racer)
            self.connect(racer)
        return True

    def told(self, racer):
        try:
            data = racer.socket.recv(65536)
        except BlockingIOError:
            return
        except OSError as why:
            data = b""
            self.violated(racer, f"the connection failed: {errno.errorcode.get(why.errno, why)}")
        try:
            if not data:
                raise Violation("the connection ended without an answer")
            if racer.number is None:
                raise Violation(f"bytes that nobody asked for: {data[:80]!r}")
            racer.received += data
            if not self.answered(racer):
                return
        except (Violation, ValueError, KeyError, TypeError) as why:
            self.violated(racer, why)
            self.statuses["violation"] += 1
            self.close(racer)
            self.connect(racer)
        self.ask(racer)

    def run(self):
        begin = last = time.monotonic()
        for racer in self.racers:
            self.connect(racer)
            self.ask(racer)
        while sum(self.statuses.values()) < self.wanted:
            events = self.poll.poll(1)
            now = time.monotonic()
            if events:
                last = now
            elif now - last > SILENCE_SECONDS:
                self.violations.append(f"{self.wanted - sum(self.statuses.values())} requests have no answer")
                break
            for fd, _ in events:
                self.told(self.by_fd[fd])
        seconds = time.monotonic() - begin
        for fd, _ in self.poll.poll(0.2):  # an answer too many would come now
            racer = self.by_fd.get(fd)
            if racer is not None and racer.number is None:
                self.told(racer)
        return {"asked": self.sent, "statuses": self.statuses, "violations": self.violations,
                "reconnects": max(0, self.reconnects), "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--requests", type=int, default=1_000_000, metavar="N", help="in all; 1000000")
    parser.add_argument("--connections", type=int, default=256, metavar="N", help="256")
    options = parser.parse_args()
    print(json.dumps(Race(options).run()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
