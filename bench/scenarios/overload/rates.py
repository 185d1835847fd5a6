"""More than it can do, for how long, and how soon after: steady, cpu, burst, retry_storm, loop_lag."""
import contextlib
import threading
import time

from lab import (CAPACITY, CONNECTIONS, PATIENCE_MS, SERVICE_MS, Ask, Failure, Missing, at_most, clients,
                 goodput_check, occupied, refusals)

LEAVES = {"give_up_after": f"{PATIENCE_MS}ms"}
GATE_MAX_MS = 10
REFUSAL_AIM_US = 3


# ---- steady

def steady(lab):
    for times in lab.scale.of((1, 1.5, 2, 5, 10), (1, 2, 10), (5,)):
        yield lab.counted(lambda: steady_once(lab, times))


def steady_once(lab, times):
    target, lane, name = f"/sleep?ms={SERVICE_MS}", "sleep", f"steady {times}x"
    with lab.start("showcase") as server:
        floor = lab.floor(server, name, target, CAPACITY)
        queue_timeout_ms = server.lane_report(lane)["queue_timeout_ms"]
        result = lab.load(server, name, [clients(target, CAPACITY * times, **LEAVES)], lab.scale.seconds(20))
        row = result.row("steady", f"{times}x", lane)
        row.floor = floor
        whole = min(result.offered, CAPACITY)
        row.checks = [goodput_check("goodput of what was offered" if times <= 1 else "goodput of the capacity",
                                    row.goodput / whole),
                      at_most("p99 of what was admitted", milliseconds(result.quantile("2xx", 0.99)),
                              1.25 * (SERVICE_MS + queue_timeout_ms), " ms"),
                      *gate_check(result, lane), server.books()]
    return row


def milliseconds(time_us):
    return None if time_us is None else time_us / 1000


def gate_check(result, lane):
    """p99 of what the gate refused at once. Other refusals are 503 too, and none is quicker than these: of all 503 they
    are the first."""
    every, gate, _ = refusals(result.before["lanes"][lane], result.after["lanes"][lane])
    if gate < 100 or not result.count("503"):
        return []
    share = gate / sum(every.values())
    p99_ms = milliseconds(result.quantile("503", 0.99 * share))
    return [at_most("p99 of the gate's 503 at once", p99_ms, GATE_MAX_MS, " ms")]


# ---- cpu

def cpu(lab):
    """The processor is the bottleneck: refusing takes from what could have been done."""
    refusal_us, idle_share, busiest_us = refusal_cost(lab)
    target, lane = "/spin?us=1000", "spin"
    with lab.start("showcase") as server:
        ceiling = lab.load(server, "cpu closed loop", [clients(target, connections=4)],
                           lab.scale.of(10, 5, 0.5))
    capacity = ceiling.run["goodput_rps"]
    if not capacity:
        raise Failure("/spin answered nothing")
    for times in lab.scale.of((2, 5, 10), (2, 10), (5,)):
        row = lab.counted(lambda: cpu_once(lab, times, capacity, refusal_us, target, lane))
        row.notes += [f"capacity {capacity:,.0f}/s in a closed loop of 4",
                      f"a refusal takes {refusal_us:.2f} us of CPU at 8,000/s, {busiest_us:.2f} us in a closed loop "
                      f"(aim: {REFUSAL_AIM_US} us); idle {idle_share * 100:.2f} % of a core"]
        yield row


def cpu_once(lab, times, capacity, refusal_us, target, lane):
    name = f"cpu {times}x"
    with lab.start("showcase") as server:
        floor = lab.floor(server, name, target, capacity)
        result = lab.load(server, name, [clients(target, capacity * times, **LEAVES)], lab.scale.seconds(20))
        row = result.row("cpu", f"{times}x", lane)
        row.floor = floor
        loss = max(0.0, 1 - row.goodput / capacity)
        allowed = (times - 1) * refusal_us * capacity / 1e6 + 0.05  # (k - 1) r / s, as s is 1 / capacity
        row.checks = [at_most("loss of capacity", round(loss * 100, 1), round(allowed * 100, 1), " %"), server.books()]
    return row


def refusal_cost(lab):
    """CPU time of the server per refusal at a steady rate and as fast as it goes, in us, and its idle share: at a lane
    whose one permit and one place are taken, so that it refuses everything."""
    with lab.start("overload") as server:
        seconds = lab.scale.of(10, 4, 0.4)
        idle = cpu_seconds(server, lambda: time.sleep(lab.scale.of(3, 1, 0.2))) / lab.scale.of(3, 1, 0.2)
        costs = []
        with occupied(server, "/full", 2):
            for name, kind in (("paced", clients("/full", 8000)), ("fastest", clients("/full", connections=64))):
                before = sum(server.lane("full")["shed"].values())
                began = time.monotonic()
                used = cpu_seconds(server, lambda: lab.load(server, f"refusal {name}", [kind], seconds, warmup=0))
                refused = sum(server.lane("full")["shed"].values()) - before
                used -= idle * (time.monotonic() - began)
                costs.append(used / max(1, refused) * 1e6)
        server.release()  # the one who held the permit; the end of all lets go who held the place
        time.sleep(0.1)
    return costs[0], idle, costs[1]


def cpu_seconds(server, act):
    before = server.process()["cpu_s"]
    act()
    return server.process()["cpu_s"] - before


# ---- burst

def burst(lab):
    yield lab.counted(lambda: burst_once(lab))


def burst_once(lab):
    """Ten times the capacity, then 70 % of it."""
    on_s, off_s = lab.scale.of((30, 15), (8, 8), (0.5, 1.5))
    with lab.start("overload") as server:
        floor = lab.floor(server, "burst", "/work", CAPACITY)
        pattern = {"kind": "burst", "high": 10, "low": 0.7, "on": f"{on_s}s", "off": f"{off_s}s"}
        result = lab.load(server, "burst", [clients("/work", CAPACITY, pattern=pattern, **LEAVES)], on_s + off_s,
                          warmup=0)
        row = result.row("burst", f"10x for {on_s} s, then 0.7x", "work")
        row.floor = floor
        during, after = result.windows(0, on_s), result.windows(on_s + 2)
        row.checks = [goodput_check("goodput of what was offered, from 2 s after it", window_goodput(after), 0.95),
                      at_most("recovered after", recovery(result.windows(on_s), on_s, window_goodput), 2.0, " s"),
                      server.books()]
        row.notes = [f"during the burst {window_goodput(during) * window_rate(during):,.0f} 2xx/s"]
    return row


def window_goodput(windows):
    """2xx per planned request."""
    planned = sum(window["planned"] for window in windows)
    return sum(window["outcomes"].get("2xx", 0) for window in windows) / planned if planned else 0.0


def window_rate(windows):
    planned = sum(window["planned"] for window in windows)
    return planned / ((windows[-1]["at_s"] - windows[0]["at_s"]) or 1) if windows else 0.0


def recovery(windows, since_s, measure, good=lambda value: value >= 0.95):
    """Seconds until the first window from which on all are good; None if the last one is not."""
    begin = None
    for window in windows:
        if not good(measure([window])):
            begin = None
        elif begin is None:
            begin = window["at_s"]
    return None if begin is None else max(0.0, round(begin - since_s, 3))


# ---- retry_storm

class Stall:
    """Makes the server slow at one moment of a load and quick again at another. What sluice-load says first of its own
    clock sets the two."""

    def __init__(self, server, from_s, to_s, *, switch="factor", factor=20):
        self.ask, self.moments = Ask(server.address), ((from_s, factor), (to_s, 1))
        self.switch = switch  # /factor or /pace
        self.ended_s = None
        self.thread = None

    def __call__(self, at_s):
        if self.thread is None:
            self.thread = threading.Thread(target=self.run, args=(time.monotonic() - at_s,), daemon=True)
            self.thread.start()

    def run(self, began):
        with contextlib.suppress(Failure):  # ended_s stays None then
            for moment_s, factor in self.moments:
                time.sleep(max(0.0, began + moment_s - time.monotonic()))
                self.ask.request("POST", f"/{self.switch}?of={factor}")
            self.ended_s = time.monotonic() - began
        self.ask.close()


def retry_storm(lab):
    yield lab.counted(lambda: retry_storm_once(lab))


def retry_storm_once(lab):
    """Every client tries three times more, at once. For a while everything takes 20 times as long."""
    before_s, stall_s, after_s = lab.scale.of((10, 10, 20), (4, 5, 10), (0.3, 0.3, 1.5))
    rate = 0.7 * CAPACITY
    with lab.start("overload") as server:
        floor = lab.floor(server, "retry storm", "/work", CAPACITY)
        stall = Stall(server, before_s, before_s + stall_s)
        insisting = clients("/work", rate, connections=CONNECTIONS * 4, retries=3, retry_backoff="0s", **LEAVES)
        result = lab.load(server, "retry storm", [insisting], before_s + stall_s + after_s, on_progress=stall)
        if stall.ended_s is None:
            raise Failure("the server could not be made slow and quick again while the load went on")
        row = result.row("retry_storm", f"20x service time for {stall_s} s", "work")
        row.floor = floor
        after = result.windows(stall.ended_s)
        row.checks = [at_most("first attempts are goodput again after", recovery(after, stall.ended_s, window_goodput),
                              3.0, " s"),
                      at_most("attempts per request, from 5 s after", attempts(result.windows(stall.ended_s + 5)),
                              1.05),
                      server.books()]
        row.notes = [f"attempts per request in the stall {attempts(result.windows(before_s, before_s + stall_s)):.2f}",
                     f"{result.run['retried']:,} of {result.run['sent']:,} sent were retries"]
    return row


def attempts(windows):
    planned = sum(window["planned"] for window in windows)
    return round(sum(window["sent"] for window in windows) / planned, 3) if planned else 0.0


# ---- loop_lag

def loop_lag(lab):
    yield lab.counted(lambda: loop_lag_once(lab))


def loop_lag_once(lab):
    """Four routes that block, each asked for ten times what it can do: does the loop notice?"""
    lanes = ("a", "b", "c", "d")
    capacity = 4 * 1000 / SERVICE_MS  # each has four permits
    with lab.start("overload") as server:
        floor = lab.floor(server, "loop lag", "/hammered/a", capacity)
        groups = [clients(f"/hammered/{lane}", capacity * 10, lane, **LEAVES) for lane in lanes]
        result = lab.load(server, "loop lag", groups, lab.scale.seconds(20))
        row = result.row("loop_lag", "4 routes at 10x", "hammered-a")
        row.floor = floor
        row.notes = ["admitted and refused: of the first route"]
        row.checks = [lag_check(server.counters()), server.books()]
    return row


def lag_check(counters):
    """The worst loop's p99.9, by any of the names it may have."""
    loops = counters.get("loops")
    if not loops:
        raise Missing("/counters has no \"loops\": this version does not measure its loops' lag")
    found = []
    for loop in loops:
        for unit, to_ms in (("us", 1e-3), ("ms", 1), ("ns", 1e-6)):
            nested = loop.get(f"lag_{unit}")
            value = loop.get(f"lag_p999_{unit}", nested.get("p999") if isinstance(nested, dict) else None)
            if value is not None:
                found.append(value * to_ms)
    if not found:
        raise Missing(f"\"loops\" of /counters has no lag with a p99.9: {loops[0]}")
    return at_most("loop lag p99.9", max(found), 1.0, " ms")
