"""What must hold exactly, however fast the machine is: dead_work, queue_bound, disconnect, double_answer."""
import contextlib
import socket
import struct
import time

from lab import (BUDGET_MS, CAPACITY, PERMITS, Failure, Row, Watch, at_least, at_most, clients, equals, holds,
                 occupied)

# ---- dead_work

LATER_PERMITS, LATER_MS, DEADLINE_MS = 512, 40, 50  # of /later
DEADLINE_HEADER = "x-envoy-expected-rq-timeout-ms"


def dead_work(lab):
    yield lab.counted(lambda: dead_work_once(lab))


def dead_work_once(lab):
    """Clients wait for 50 ms and say so; three times what can be done. Does any work start that is of no use?"""
    capacity = LATER_PERMITS * 1000 / LATER_MS
    requests = lab.scale.of(1_000_000, 200_000, 5_000)
    tells = {"deadline": f"{DEADLINE_MS}ms", "deadline_header": DEADLINE_HEADER,
             "connections": lab.scale.of(6000, 6000, 1000)}  # the server may delay refusals by 200 ms
    with lab.start("overload") as server:
        floor = lab.floor(server, "dead work", "/later", capacity, **tells | {"connections": LATER_PERMITS})
        result = lab.load(server, "dead work", [clients("/later", 3 * capacity, **tells)],
                          requests / (3 * capacity), warmup=0)
        books = server.books()
        lane, state = server.lane("later"), server.state()
        row = result.row("dead_work", "3x, deadlines of 50 ms", "later")
        row.floor = floor
        row.checks = [equals("started_after_deadline", lane["started_after_deadline"], 0),
                      equals("handlers that saw their deadline passed", state["entered_late"], 0),
                      equals("handlers with more time than their client told", state["entered_unclipped"], 0),
                      holds("handlers ran", state["later_entered"] > 0, f"{state['later_entered']:,}"), books]
        row.checks.append(at_least("requests that reached the gate", row.received, int(0.95 * requests)))
    return row


# ---- queue_bound

def queue_bound(lab):
    yield lab.counted(lambda: queue_bound_once(lab))


def queue_bound_once(lab):
    """Every permit held, and ten times the capacity arrives all the same."""
    held_s = lab.scale.seconds(10, 4, 1)
    with lab.start("overload") as server:
        floor = lab.floor(server, "queue bound", "/work", CAPACITY)
        report = server.report()
        depth_max = server.lane_report("work")["queue_depth_max"]
        with occupied(server, f"/work?ms={held_s * 1000 + 500:.0f}", PERMITS):
            rss_before = server.process()["rss_bytes"]
            with Watch(server, 0.02) as watch:
                result = lab.load(server, "queue bound", [clients("/work", 10 * CAPACITY)], held_s, warmup=0, grace=5)
        if watch.problem or not watch.samples:
            raise Failure(f"the counters could not be read meanwhile: {watch.problem or 'no sample'}")
        row = result.row("queue_bound", f"permits held {held_s:g} s, 10x", "work")
        row.floor = floor
        row.checks = [at_most("depth of the queue", max(watch.of_lane("work", "depth")), depth_max, exact=True),
                      at_most("RSS growth", (max(watch.of("rss_bytes")) - rss_before) // 1024,
                              report["memory_bytes_max"] // 1024, " KiB", exact=True),
                      at_most("requests neither answered nor reset", result.without_answer(), 0, exact=True),
                      server.books(held_s + BUDGET_MS / 1000 + 10)]
        row.notes = [f"{len(watch.samples)} samples, in flight {max(watch.of_lane('work', 'in_flight'))} at most"]
    return row


# ---- disconnect

WAITING = 1000
QUEUE_PERMITS = 4


def disconnect(lab):
    for how in ("FIN", "RST"):
        yield disconnect_once(lab, how)


def disconnect_once(lab, how):
    """A thousand clients wait in the queue and leave at once."""
    waiting = lab.scale.of(WAITING, WAITING, 200)
    with lab.start("overload") as server, contextlib.ExitStack() as stack:
        before = server.lane("queue")
        stack.enter_context(occupied(server, "/queue", QUEUE_PERMITS))
        host, _, port = server.address.rpartition(":")
        sockets = []
        for _ in range(waiting):
            sockets.append(stack.enter_context(socket.create_connection((host, int(port)), timeout=5)))
            if how == "RST":
                sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sockets[-1].sendall(b"GET /queue HTTP/1.1\r\nHost: waiting\r\n\r\n")
        reached = wait_for_depth(server, lambda depth: depth >= waiting, 10)
        begin = time.monotonic()
        for waiter in sockets:
            waiter.close()
        closed = time.monotonic()
        left = wait_for_depth(server, lambda depth: depth == 0, 5)
        gone_ms = (time.monotonic() - closed) * 1000
        server.release()
        books = server.books()
        lane, entered = server.lane("queue"), server.state()["queue_entered"]
        row = Row("disconnect", f"{waiting:,} leave by {how}", received=lane["received"] - before["received"],
                  admitted=lane["started"] / max(1, lane["received"]),
                  refused={"cancelled": lane["cancelled"] - before["cancelled"]})
        row.checks = [equals("waited in the queue", reached, waiting),
                      equals("handlers that ran for them", entered - QUEUE_PERMITS, 0),
                      equals("cancelled", lane["cancelled"] - before["cancelled"], waiting),
                      equals("depth afterwards", left, 0),
                      at_most("until the queue was empty", round(gone_ms, 1), 20, " ms"), books]
        row.notes = [f"closing them took {(closed - begin) * 1000:.1f} ms"]
    return row


def wait_for_depth(server, reached, seconds):
    """The depth when it was so, or at last."""
    end = time.monotonic() + seconds
    while True:
        depth = server.lane("queue")["depth"]
        if reached(depth) or time.monotonic() > end:
            return depth


# ---- double_answer

def double_answer(lab):
    """Answers at the budget, a millisecond before or behind: the 504 and the answer race. Exactly one may come."""
    requests = lab.scale.of(1_000_000, 50_000, 1_500)
    with lab.start("overload") as server:
        before = server.lane("race")
        racer = lab.helper("racer.py", server.address, "--requests", requests)
        found = lab.finish(racer, 60 + requests / 500)
        books = server.books()
        after = server.lane("race")
        change = {name: after[name] - before[name] for name in after if isinstance(after[name], int)}
        statuses = found["statuses"]
        refused = sum(after["shed"].values()) - sum(before["shed"].values())
        unstarted = sum(change[name] for name in ("expired", "evicted", "stale", "drained"))
        row = Row("double_answer", f"{requests:,} answers at the budget", offered=requests / found["seconds"],
                  admitted=change["started"] / max(1, change["received"]), received=change["received"],
                  goodput=statuses.get("200", 0) / found["seconds"],
                  classes={status: {"count": count, "p50_us": None, "p99_us": None}
                           for status, count in statuses.items()})
        row.checks = [holds("exactly one valid answer each", not found["violations"],
                            "; ".join(found["violations"][:3]) or f"{sum(statuses.values()):,}"),
                      equals("answers", sum(statuses.values()), requests),
                      equals("responded, beside the 200 seen", change["responded"], statuses.get("200", 0)),
                      equals("timed_out, beside the 504 seen", change["timed_out"], statuses.get("504", 0)),
                      equals("refused, beside the 503 seen", refused + unstarted, statuses.get("503", 0)),
                      equals("late + responded, beside started", change["late"] + change["responded"],
                             change["started"]),
                      books]
        row.notes = [f"{change['late']:,} answers lost the race, {change['responded']:,} won it"]
        yield row
