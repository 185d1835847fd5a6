#!/usr/bin/env python3
"""Many slow clients on one thread: heads that come a byte a second, or answers that are read 100 bytes a second.

    herd.py loris 127.0.0.1:8080 --connections 1000 --seconds 20
    herd.py readers 127.0.0.1:8080 --target /mebibyte

A connection that the server ends is made again. Prints what became of them as one JSON object: how old each was when it
was ended, counted from its first byte, and how.
"""
import argparse
import collections
import errno
import json
import select
import socket
import time

READ_BYTES = 100          # a second and reader
RECEIVE_BUFFER = 4096     # of a reader, so that what it does not read stays with the server
STEP_SECONDS = 0.01       # between two looks at who is due


class Slow:
    """One connection: when it began, when it is due next, how many bytes of its head are sent."""

    def __init__(self):
        self.socket, self.began, self.due, self.sent = None, None, 0.0, 0


class Herd:
    def __init__(self, options):
        host, _, port = options.address.rpartition(":")
        self.where, self.kind = (host, int(port)), options.kind
        self.target = options.target.encode()
        self.head = b"GET " + self.target + b" HTTP/1.1\r\nHost: slow\r\nX-Slow: "  # never comes to its end
        self.poll = select.epoll()
        self.members = [Slow() for _ in range(options.connections)]
        self.by_fd = {}
        self.ages, self.ends, self.opened, self.refused = [], collections.Counter(), 0, 0

    def open(self, member, now):
        member.socket = socket.socket()
        member.socket.setblocking(False)
        if self.kind == "readers":
            member.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        error = member.socket.connect_ex(self.where)
        if error not in (0, errno.EINPROGRESS):
            self.refused += 1
            member.socket.close()
            member.socket, member.due = None, now + 1
            return
        member.began, member.sent, self.opened = None, 0, self.opened + 1
        self.by_fd[member.socket.fileno()] = member
        # A reader's data is left where it is; an end by the server is told all the same.
        self.poll.register(member.socket, select.EPOLLIN if self.kind == "loris" else 0)

    def end(self, member, how, now):
        """The server has ended it, `how`."""
        self.ends[how] += 1
        if member.began is not None:
            self.ages.append(now - member.began)
        self.poll.unregister(member.socket)
        del self.by_fd[member.socket.fileno()]
        member.socket.close()
        member.socket = None

    def tend(self, member, now):
        """Its byte a second, or its hundred."""
        member.due += 1
        if member.due < now:
            member.due = now + 1
        if member.socket is None:
            self.open(member, now)
        if member.socket is None:
            return
        try:
            if self.kind == "loris":
                byte = self.head[member.sent:member.sent + 1] or b"a"
                member.socket.send(byte)
                member.sent += 1
                member.began = member.began or now
            elif member.began is None:
                member.socket.send(b"GET " + self.target + b" HTTP/1.1\r\nHost: slow\r\n\r\n")
                member.began = now
            elif not member.socket.recv(READ_BYTES):
                self.end(member, "closed", now)
        except BlockingIOError:
            pass
        except OSError:
            self.end(member, "reset", now)

    def told(self, fd, events, now):
        member = self.by_fd.get(fd)
        if member is None:
            return
        if events & (select.EPOLLERR | select.EPOLLHUP) and not events & select.EPOLLIN:
            self.end(member, "reset", now)
            return
        try:
            data = member.socket.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            self.end(member, "reset", now)
            return
        status = data[9:12].decode("ascii", "replace") if data.startswith(b"HTTP/1.1 ") else "other bytes"
        self.end(member, status if data else "closed", now)

    def run(self, seconds):
        begin = time.monotonic()
        for number, member in enumerate(self.members):  # spread over a second, so that they are not one burst
            member.due = begin + number / len(self.members)
        queue = collections.deque(self.members)  # stays in the order in which they are due
        now = begin
        while now - begin < seconds:
            while queue and queue[0].due <= now:
                member = queue.popleft()
                self.tend(member, now)
                queue.append(member)
            for fd, events in self.poll.poll(STEP_SECONDS, 256):
                self.told(fd, events, time.monotonic())
            now = time.monotonic()
        open_ages = [now - member.began for member in self.members if member.socket and member.began is not None]
        return {"opened": self.opened, "refused": self.refused, "ended": len(self.ages), "ends": self.ends,
                "age_max_s": max(self.ages, default=None),
                "age_p50_s": sorted(self.ages)[len(self.ages) // 2] if self.ages else None,
                "open": len(open_ages), "open_age_max_s": max(open_ages, default=None)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=("loris", "readers"))
    parser.add_argument("address", metavar="HOST:PORT")
    parser.add_argument("--connections", type=int, default=1000, metavar="N", help="at a time; 1000")
    parser.add_argument("--seconds", type=float, default=20, metavar="N", help="then all of them are closed; 20")
    parser.add_argument("--target", default="/", metavar="PATH", help="what they ask for; /")
    options = parser.parse_args()
    print(json.dumps(Herd(options).run(options.seconds)))


if __name__ == "__main__":
    main()
