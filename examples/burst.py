#!/usr/bin/env python3
"""A load client that doesn't wait its turn: requests leave when they are due, whether or not the ones before them were
answered, and every latency counts from the moment a request was due. Python's standard library only; one thread.

    burst.py 127.0.0.1:8080 '/sleep?ms=20' --rate 8000 --seconds 3

Prints how many were answered with which status, and how long that took. Exits with 1 if an answer was cut short or
came with a status that was not expected, or if --least-200 was missed. With --until-closed it goes on until the server
has closed every connection, as it does after SIGTERM.
"""
import argparse
import collections
import select
import socket
import sys
import time

TICK = 0.001  # seconds; what is due within one tick leaves together


class Connection:
    __slots__ = ("socket", "due", "received")

    def __init__(self, address):
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.due = None  # when the request that waits for its answer was due; None: there is none
        self.received = b""


class Burst:
    def __init__(self, options):
        host, _, port = options.address.rpartition(":")
        self.address = (host.strip("[]"), int(port))
        self.requests = [f"GET {path} HTTP/1.1\r\nHost: {options.address}\r\n\r\n".encode() for path in options.path]
        self.options = options
        self.poll = select.epoll()
        self.connections = {}
        self.idle = collections.deque()
        self.waiting = 0                                 # requests without their answer
        self.latencies = collections.defaultdict(list)   # status -> seconds
        self.in_time = 0                                 # answers 200 that came while the burst went on
        self.truncated = 0                               # answers that began and did not end
        self.unanswered = 0                              # requests whose connection ended before an answer began
        self.lag = 0.0                                   # how late a request left at worst
        self.server_gone = False

    def connect(self):
        try:
            connection = Connection(self.address)
        except OSError:
            self.server_gone = True
            return
        self.connections[connection.socket.fileno()] = connection
        self.poll.register(connection.socket, select.EPOLLIN)
        self.idle.append(connection)

    def close(self, connection):
        del self.connections[connection.socket.fileno()]
        connection.socket.close()
        if connection.due is not None:
            self.waiting -= 1
            if connection.received:
                self.truncated += 1
            else:
                self.unanswered += 1
            connection.due = None
        if not self.options.until_closed:
            self.connect()

    def send(self, number, due):
        """One request on an idle connection; False if there is none."""
        while self.idle:
            connection = self.idle.popleft()
            if connection.socket.fileno() < 0:
                continue  # closed by the server while it was idle
            connection.due = due
            self.waiting += 1
            try:
                connection.socket.send(self.requests[number % len(self.requests)])
            except OSError:
                self.close(connection)
            return True
        return False

    def receive(self, connection, begin, end):
        try:
            data = connection.socket.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return
        received = connection.received = connection.received + data if connection.received else data
        head_end = received.find(b"\r\n\r\n")
        if head_end < 0 or connection.due is None:
            return
        at = received.find(b"\r\nContent-Length: ", 0, head_end)
        length = int(received[at + 18:received.find(b"\r\n", at + 18)]) if at >= 0 else 0
        if len(received) < head_end + 4 + length:
            return
        now = time.monotonic()
        status = int(received[9:12])
        self.latencies[status].append(now - connection.due)
        self.in_time += status == 200 and begin <= now <= end
        connection.due = None
        connection.received = b""
        self.waiting -= 1
        if received.find(b"\r\nConnection: close", 0, head_end) < 0:
            self.idle.append(connection)  # otherwise the server closes it next

    def run(self):
        options = self.options
        for _ in range(options.connections):
            self.connect()
        if self.server_gone:
            sys.exit(f"burst.py: nobody listens on {options.address}")
        begin = time.monotonic()
        end = begin + options.seconds
        total = int(options.rate * options.seconds)
        sent = 0
        while True:
            now = time.monotonic()
            while sent < total and begin + sent / options.rate <= now:
                if not self.send(sent, begin + sent / options.rate):
                    break
                self.lag = max(self.lag, now - begin - sent / options.rate)
                sent += 1
            if sent == total and self.waiting == 0:
                break
            if now > end + 10 or not self.connections:
                break
            for fd, _ in self.poll.poll(TICK if sent < total else 0.1):
                connection = self.connections.get(fd)
                if connection is not None:
                    self.receive(connection, begin, end)
        self.sent = sent
        self.elapsed = min(time.monotonic() - begin, options.seconds)

    def report(self):
        meaning = {200: "done", 429: "over its share", 503: "refused, not started", 504: "out of time"}
        print(f"  {self.sent:,} requests in {self.elapsed:.1f} s over {self.options.connections} connections,"
              f" the latest {self.lag * 1000:.0f} ms after it was due")
        print(f"  {'answer':<28}{'count':>9}{'per second':>12}{'p50':>11}{'p99':>11}{'max':>11}")
        for status in sorted(self.latencies):
            times = sorted(self.latencies[status])
            at = lambda share: f"{times[min(len(times) - 1, int(share * len(times)))] * 1000:.1f} ms"
            print(f"  {status} {meaning.get(status, ''):<24}{len(times):>9,}{len(times) / max(self.elapsed, 0.001):>12,.0f}"
                  f"{at(0.5):>11}{at(0.99):>11}{at(1.0):>11}")
        print(f"  cut short: {self.truncated}, connection ended without an answer: {self.unanswered},"
              f" still unanswered: {self.waiting}")

    def faults(self):
        options = self.options
        expected = {int(status) for status in options.expect.split(",")}
        for status in sorted(set(self.latencies) - expected):
            yield f"{len(self.latencies[status])} answers with the unexpected status {status}"
        if self.truncated:
            yield f"{self.truncated} answers were cut short"
        if self.waiting:
            yield f"{self.waiting} requests were never answered"
        if self.unanswered and not options.until_closed:
            yield f"{self.unanswered} connections were ended without an answer"
        if options.until_closed and self.connections:
            yield "the server did not close its connections"
        rate = self.in_time / options.seconds
        if rate < options.least_200:
            yield f"only {rate:.0f} answers 200 a second, {options.least_200} were expected"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("path", nargs="+", help="asked for in turn")
    parser.add_argument("--rate", type=float, default=1000, help="requests per second")
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--connections", type=int, default=400)
    parser.add_argument("--expect", default="200,503,504", help="statuses that may come")
    parser.add_argument("--least-200", type=float, default=0, help="answers 200 per second, at least")
    parser.add_argument("--until-closed", action="store_true", help="the server is going to be stopped meanwhile")
    burst = Burst(parser.parse_args())
    burst.run()
    burst.report()
    faults = list(burst.faults())
    for fault in faults:
        print(f"  NOT AS PROMISED: {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
