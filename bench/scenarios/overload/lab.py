"""What the experiments share: servers, loads, what a server says of itself, and how a verdict comes about.
Python's standard library only."""
import contextlib
import dataclasses
import http.client
import json
import math
import os
import pathlib
import resource
import shlex
import socket
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from harness import INVALID, MEASURED, Failure, Server, program, run_load  # noqa: E402

PERMITS, SERVICE_MS, BUDGET_MS = 16, 20, 250
CAPACITY = PERMITS * 1000 / SERVICE_MS       # of /work and the showcase's /sleep?ms=20: 800/s by construction
CONNECTIONS = 600                            # at least: more than twice permits and queue
PATIENCE_MS = 300                            # clients that give up do so then
FLOOR_SHARE = 0.05                           # of the capacity: the same load where nothing waits
ASK_SECONDS = 5
MARGIN_SECONDS = 60                          # of a load, for connecting and writing
NOT_GOODPUT = ("429", "503", "504", "other", "broken", "connect_error", "gave_up", "unanswered")


class Missing(Failure):
    """The library under test has not got what an experiment needs."""


# ---- how long, how much

class Scale:
    """full: what a verdict needs. quick: a first look. smoke: whether everything runs; no time is judged."""

    def __init__(self, name, seconds):
        self.name, self.seconds_wanted = name, seconds

    def of(self, full, quick, smoke):
        return {"full": full, "quick": quick, "smoke": smoke}[self.name]

    def seconds(self, full, quick=None, smoke=0.5):
        """How long a load is measured. Only the full length can be replaced from outside."""
        if self.name == "full" and self.seconds_wanted:
            return self.seconds_wanted
        return self.of(full, min(full, 5) if quick is None else quick, smoke)

    def warmup(self):
        return self.of(2, 1, 0.2)


def raise_descriptors():
    """As many as the system lets us have: a server's bound on connections comes from them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or soft < hard:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 16 if hard == resource.RLIM_INFINITY else hard, hard))


# ---- verdicts

@dataclasses.dataclass
class Check:
    """One line that an experiment is judged against. `exact`: does not depend on how fast the machine is."""
    name: str
    value: str
    limit: str
    state: str  # PASS, NOISY or FAIL
    exact: bool = False

    def __str__(self):
        return f"{self.name}: {self.value} ({self.limit})"


def at_most(name, value, limit, unit="", exact=False):
    if value is None:
        return Check(name, "not known", f"at most {shown(limit)}{unit}", "FAIL", exact)
    state = "PASS" if value <= limit else "FAIL"
    return Check(name, f"{shown(value)}{unit}", f"at most {shown(limit)}{unit}", state, exact)


def at_least(name, value, limit):
    return Check(name, shown(value), f"at least {shown(limit)}", "PASS" if value >= limit else "FAIL")


def equals(name, value, wanted):
    return Check(name, str(value), f"exactly {wanted}", "PASS" if value == wanted else "FAIL", True)


def holds(name, true, value="", exact=True):
    return Check(name, str(value) or ("yes" if true else "no"), "must hold", "PASS" if true else "FAIL", exact)


def goodput_check(name, ratio, noisy=0.90):
    state = "PASS" if ratio >= 0.95 else "NOISY" if ratio >= noisy else "FAIL"
    return Check(name, f"{ratio * 100:.1f} %", "at least 95 %; from 90 % a noisy pass", state)


def like_alone(name, value_us, alone_us):
    """A percentile beside that of the same clients alone: within a tenth or a millisecond."""
    if value_us is None or alone_us is None:
        return Check(name, "too few samples", "within 10 % or 1 ms of alone", "FAIL")
    limit = max(alone_us * 1.1, alone_us + 1000)
    return Check(name, f"{value_us / 1000:.2f} ms", f"at most {limit / 1000:.2f} ms; alone {alone_us / 1000:.2f} ms",
                 "PASS" if value_us <= limit else "FAIL")


def shown(number):
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


@dataclasses.dataclass
class Row:
    """What one case of an experiment gave."""
    experiment: str
    case: str
    offered: float | None = None   # per second
    admitted: float | None = None  # share of what reached the gate
    goodput: float | None = None   # 2xx in time, per second
    refused: dict = dataclasses.field(default_factory=dict)  # reason -> requests
    received: int = 0              # requests that reached the gate
    classes: dict = dataclasses.field(default_factory=dict)  # outcome -> count, p50_us, p99_us
    floor: dict = dataclasses.field(default_factory=dict)    # rate, p50_us, p99_us
    checks: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    invalid: list = dataclasses.field(default_factory=list)  # why the generator's run does not count
    repeated: int = 0

    def state(self, smoke=False):
        states = [check.state for check in self.checks if check.exact or not smoke]
        return "FAIL" if "FAIL" in states else "NOISY" if "NOISY" in states else "PASS"


# ---- what a server says

class Ask:
    """One kept connection to a server, for its counters and its switches."""

    def __init__(self, address):
        host, _, port = address.rpartition(":")
        self.where = host, int(port)
        self.connection = None

    def request(self, method, path):
        for attempt in range(2):
            if self.connection is None:
                self.connection = http.client.HTTPConnection(*self.where, timeout=ASK_SECONDS)
            try:
                self.connection.request(method, path)
                answer = self.connection.getresponse()
                body = answer.read()
                break
            except (OSError, http.client.HTTPException) as why:
                self.close()
                if attempt or isinstance(why, TimeoutError):
                    raise Failure(f"{method} {path}: {why or type(why).__name__}") from None
        if not 200 <= answer.status < 300:
            raise Failure(f"{method} {path}: {answer.status}")
        return body

    def json(self, path):
        return json.loads(self.request("GET", path))

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


REFUSED = ("expired", "evicted", "stale", "drained")  # beside what "shed" holds: refused, but not at the gate


def refusals(before, after):
    """Requests by the reason they were refused for; how many of them at the gate and at once; how many after a delay
    that makes clients slower (`delayed`, of those of the gate)."""
    gate = {reason: count - before["shed"].get(reason, 0) for reason, count in after["shed"].items()}
    later = {name: after[name] - before[name] for name in REFUSED if name in after}
    every = {name: count for name, count in (gate | later).items() if count}
    delayed = after.get("delayed", 0) - before.get("delayed", 0)
    return every, sum(gate.values()) - delayed, delayed


def unbalanced(name, lane):
    """The equations of a lane that do not hold."""
    waited = sum(lane[key] for key in ("started", "expired", "cancelled", "evicted", "stale", "drained", "depth"))
    ended = sum(lane[key] for key in ("responded", "raised", "timed_out", "abandoned", "running"))
    found = []
    if lane["received"] != sum(lane["shed"].values()) + lane["queued"] + lane["inline"]:
        found.append(f"{name}: received is not shed + queued + inline")
    if lane["queued"] + lane["inline"] != waited:
        found.append(f"{name}: queued + inline is not what started, ended unstarted or waits")
    if lane["started"] != ended:
        found.append(f"{name}: started is not responded + raised + timed_out + abandoned + running")
    return found


class Tested:
    """A server under test. Use it in a `with`; nothing it was asked to hold outlives that."""

    def __init__(self, lab, command):
        self.lab = lab
        self.server = Server(lab.pinning.of_server(command))
        self.address, self.pid = self.server.address, self.server.process.pid
        self.ask = Ask(self.address)

    def __enter__(self):
        return self

    def __exit__(self, failed, *rest):
        ended = self.server.process.poll()
        if ended is not None:  # whatever failed, this is why
            said = self.server.text().strip()[-1000:]
            self.server.stop()
            raise Failure(f"the server ended by itself with {ended}: {said}")
        with contextlib.suppress(Failure):
            self.ask.request("POST", "/release")  # where there is nothing to release: 404
        self.ask.close()
        return self.server.__exit__(failed, *rest)

    def counters(self):
        return self.ask.json("/counters")

    def lane(self, name):
        lanes = self.counters()["lanes"]
        if name not in lanes:
            raise Failure(f"/counters knows no lane {name}, but {', '.join(lanes)}")
        return lanes[name]

    def report(self):
        return self.ask.json("/report")

    def lane_report(self, name):
        return next(lane for lane in self.report()["lanes"] if lane["name"] == name)

    def state(self):
        return self.ask.json("/state")

    def release(self):
        self.ask.request("POST", "/release")

    def process(self):
        """Memory, threads, descriptors and CPU time of the process, now."""
        fields = {}
        with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as status:
            for line in status:
                name, _, value = line.partition(":")
                fields[name] = value.strip()
        with open(f"/proc/{self.pid}/stat", encoding="ascii", errors="replace") as stat:
            after_name = stat.read().rpartition(")")[2].split()
        ticks = int(after_name[11]) + int(after_name[12])
        return {"rss_bytes": int(fields["VmRSS"].split()[0]) * 1024, "threads": int(fields["Threads"]),
                "fds": len(os.listdir(f"/proc/{self.pid}/fd")), "cpu_s": ticks / os.sysconf("SC_CLK_TCK")}

    def at_rest(self, seconds=10):
        """Waits until no lane holds work. Returns what still does not add up then: lanes at work, broken equations."""
        loops = {lane["name"] for lane in self.report()["lanes"] if lane["runs"] == "loop"}
        end = time.monotonic() + seconds
        while True:
            lanes = {name: lane for name, lane in self.counters()["lanes"].items() if name not in loops}
            busy = [f"{name}: depth {lane['depth']}, in_flight {lane['in_flight']}, zombies {lane['zombies']}"
                    for name, lane in lanes.items() if lane["depth"] or lane["in_flight"] or lane["zombies"]]
            wrong = [text for name, lane in lanes.items() for text in unbalanced(name, lane)]
            if not (busy or wrong) or time.monotonic() > end:
                return busy + wrong
            time.sleep(0.05)

    def books(self, seconds=10):
        wrong = self.at_rest(seconds)
        return holds("the books balance", not wrong, "; ".join(wrong[:3]))


@contextlib.contextmanager
def occupied(server, target, count):
    """Requests that hold `count` permits or places of their lane."""
    host, _, port = server.address.rpartition(":")
    with contextlib.ExitStack() as sockets:
        for _ in range(count):
            occupant = sockets.enter_context(socket.create_connection((host, int(port)), timeout=ASK_SECONDS))
            occupant.sendall(f"GET {target} HTTP/1.1\r\nHost: occupant\r\n\r\n".encode())
        time.sleep(0.2)  # until they have got there
        yield


class Watch:
    """Samples counters and process on a thread while in a `with`."""

    def __init__(self, tested, every_s):
        self.tested, self.every_s = tested, every_s
        self.samples, self.problem = [], None
        self.ask = Ask(tested.address)
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self):
        self.began = time.monotonic()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join(ASK_SECONDS + 5)
        self.ask.close()

    def run(self):
        try:
            while not self.over.wait(self.every_s):
                at = time.monotonic() - self.began
                self.samples.append({"at_s": round(at, 3), "counters": self.ask.json("/counters"),
                                     **self.tested.process()})
        except (Failure, OSError, ValueError) as why:
            self.problem = str(why)

    def of_lane(self, name, gauge):
        return [sample["counters"]["lanes"][name][gauge] for sample in self.samples]

    def of(self, key):
        return [sample[key] for sample in self.samples]


# ---- loads

def clients(target, rate=None, name="clients", connections=None, **more):
    """One kind of clients of a scenario: open loop at `rate`, as a Poisson process; closed loop without. Unless it is
    said how many, the connections are so many that every request finds one while clients wait for 300 ms at most."""
    if connections is None:
        peak = (rate or 0) * more.get("pattern", {}).get("high", 1)
        connections = max(CONNECTIONS, math.ceil(peak * PATIENCE_MS / 1000))
    requests = more.pop("requests", [{"target": target, "headers": more.pop("headers", {})}])
    kind = {"name": name, "connections": connections, "requests": requests, **more}
    return kind | ({"rate": rate, "arrival": "poisson"} if rate else {})


class Result:
    """What sluice-load wrote, and the server's counters before and after."""

    def __init__(self, text, before, after):
        self.run, self.before, self.after = json.loads(text), before, after
        self.invalid = self.run["invalid"]
        self.offered, self.planned = self.run["offered_rps"], self.run["planned"]

    def count(self, outcome):
        return self.run["classes"][outcome]["count"]

    def quantile(self, outcome, quantile):
        """From the whole distribution, in us, however few the samples are; None without one."""
        points = self.run["spectrum"].get(outcome, [])
        return next((time_us for time_us, at, _ in points if at >= quantile), None)

    def within(self, limit_us):
        """How many 2xx came in that time."""
        if (self.run["classes"]["2xx"]["latency_us"]["max"] or 0) <= limit_us:
            return self.count("2xx")
        return max((count for time_us, _, count in self.run["spectrum"].get("2xx", []) if time_us <= limit_us),
                   default=0)

    def goodput(self):
        """2xx within the patience of the clients, per second."""
        return self.within(PATIENCE_MS * 1000) / self.run["duration_s"]

    def group(self, name):
        return next(group for group in self.run["clients"] if group["name"] == name)

    def without_answer(self):
        """Sent, and neither answered nor broken off by the server."""
        return max(0, self.count("unanswered") - self.run["unsent"])

    def windows(self, first_s=0, last_s=float("inf")):
        """The whole windows between two moments of the measured part; behind it, answers still come."""
        width, last_s = self.run["series"]["window_s"], min(last_s, self.run["duration_s"])
        return [window for window in self.run["series"]["windows"]
                if window["at_s"] >= first_s - 1e-6 and window["at_s"] + width <= last_s + 1e-6]

    def classes(self):
        return {outcome: {"count": part["count"], "p50_us": self.quantile(outcome, 0.5),
                          "p99_us": self.quantile(outcome, 0.99)}
                for outcome, part in self.run["classes"].items() if part["count"]}

    def row(self, experiment, case, lane):
        """Everything but the checks."""
        before, after = self.before["lanes"][lane], self.after["lanes"][lane]
        refused, _, delayed = refusals(before, after)
        received = after["received"] - before["received"]
        started = after["started"] - before["started"]
        row = Row(experiment, case, offered=self.offered, admitted=started / received if received else None,
                  goodput=self.goodput(), refused=refused, received=received, classes=self.classes(),
                  invalid=self.invalid)
        if delayed:
            row.refused["of these delayed"] = delayed
        return row


def group_p99(group, outcome):
    """Of one kind of clients, in us; the maximum if the samples are too few for a percentile."""
    latency = group["classes"][outcome]["latency_us"]
    return latency["p99"] if latency["p99"] is not None else latency["max"]


class Lab:
    """Programs, processors, scale and the folder for results."""

    def __init__(self, options, pinning, scale):
        self.options, self.pinning, self.scale, self.out = options, pinning, scale, options.out
        hint = "Build the preset release, or name it with --{}."
        self.programs = {"overload": program(options.server, hint.format("server"))}
        if hasattr(options, "showcase"):  # not every script needs it
            self.programs["showcase"] = program(options.showcase, hint.format("showcase"))
        self.load_program = program(options.load, hint.format("load"))
        if pinning.generator is not None:  # what is done here must not take time of the server's processor
            os.sched_setaffinity(0, {pinning.generator})

    def start(self, which="overload", *flags):
        quiet = ["--quiet"] if which == "showcase" else []
        return Tested(self, [self.programs[which], "--listen", "127.0.0.1:0", "--loops", "1", *quiet,
                             *map(str, flags)])

    def load(self, tested, name, groups, seconds, *, warmup=None, grace=2, on_progress=None, **more):
        """Runs sluice-load against the server. The result of a background kind of clients does not count."""
        warmup = self.scale.warmup() if warmup is None else warmup
        scenario = {"name": name, "url": f"http://{tested.address}/", "duration": f"{seconds * 1000:.0f}ms",
                    "warmup": f"{warmup * 1000:.0f}ms", "grace": f"{grace}s", "clients": groups, **more}
        stem = name.replace(" ", "_").replace("/", "_")
        file, result = self.out / f"{stem}.scenario.json", self.out / f"{stem}.result.json"
        file.write_text(json.dumps(scenario, indent=1), encoding="utf-8")
        command = self.pinning.of_generator([self.load_program, "run", "--scenario", str(file), "--pid",
                                             str(tested.pid), "-o", str(result), "--color", "never"])
        before = tested.counters()
        longest = warmup + seconds + grace + MARGIN_SECONDS
        if on_progress is None:
            run_load([*command, "-q"], longest)
        else:
            run_followed([*command, "--jsonl"], longest, on_progress)
        return Result(result.read_text(encoding="utf-8"), before, tested.counters())

    def floor(self, tested, name, target, capacity, **more):
        """The same kind of request at a twentieth of the capacity: what it takes when nothing waits."""
        rate = capacity * FLOOR_SHARE
        result = self.load(tested, f"{name} floor", [clients(target, rate, **more)], self.scale.of(5, 2, 0.2),
                           warmup=0, grace=1)
        return {"rate": rate, "p50_us": result.quantile("2xx", 0.5), "p99_us": result.quantile("2xx", 0.99)}

    def helper(self, script, *arguments):
        """A client of this folder as a process of its own, beside the generator."""
        command = [sys.executable, "-B", str(HERE / script), *map(str, arguments)]
        return subprocess.Popen(self.pinning.pinned(self.pinning.generator, command), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    @staticmethod
    def finish(process, seconds):
        """What a helper found."""
        try:
            out, errors = process.communicate(timeout=seconds)
        except BaseException as why:
            process.kill()
            process.communicate()
            if isinstance(why, subprocess.TimeoutExpired):
                raise Failure(f"{shlex.join(process.args)} did not end within {seconds:.0f} s") from None
            raise
        if process.returncode != 0:
            raise Failure(f"{shlex.join(process.args)} returned {process.returncode}: {errors.strip()[-500:]}")
        return json.loads(out)

    def counted(self, once):
        """Makes a row, and again, twice at most, while the generator says that its run does not count."""
        for attempt in range(1 if self.scale.name == "smoke" else 3):
            row = once()
            row.repeated = attempt
            if not row.invalid:
                break
        return row


def run_followed(command, seconds, on_progress):
    """As run_load; on_progress gets the seconds since the measured part began, about once a second."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               text=True, errors="replace")
    deadline = threading.Timer(seconds, process.kill)
    deadline.start()
    try:
        for line in process.stdout:
            if line.startswith('{"event":"progress"'):
                on_progress(json.loads(line)["at_s"])
        errors = process.stderr.read()
        process.wait()
    except BaseException:
        process.kill()
        process.communicate()
        raise
    finally:
        deadline.cancel()
    if process.returncode not in (MEASURED, INVALID):
        raise Failure(f"{shlex.join(command)} returned {process.returncode}: {errors.strip() or 'nothing said'}")
