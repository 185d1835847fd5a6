"""What run.py reads of a server's process and of the machine: processor time, context switches, memory, system calls,
the time that the host took away. Python's standard library only."""
import contextlib
import dataclasses
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "scenarios"))

from harness import Failure  # noqa: E402

ATTACH_SECONDS = 10


def tree_of(pid):
    """A process and all that descend from it: a server may work in its children."""
    children = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            stat = (entry / "stat").read_text(encoding="ascii", errors="replace")
            # Its name comes first, in parentheses, and may hold any character.
            children.setdefault(int(stat.rsplit(")", 1)[1].split()[1]), []).append(int(entry.name))
    tree = [pid]
    for parent in tree:
        tree += children.get(parent, [])
    return tree


def of_tasks(pid, name):
    """The file of that name of each thread of a process and of those below it; a thread that ends meanwhile is left
    out."""
    for process in tree_of(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for task in pathlib.Path(f"/proc/{process}/task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    yield (task / name).read_text(encoding="ascii", errors="replace")


@dataclasses.dataclass
class Usage:
    """What a process and those below it have used up since their start."""
    cpu_ns: int
    switches: int

    @staticmethod
    def of(pid):
        cpu = sum(int(text.split()[0]) for text in of_tasks(pid, "schedstat"))
        switches = sum(int(count) for text in of_tasks(pid, "status")
                       for count in re.findall(r"^(?:non)?voluntary_ctxt_switches:\s+(\d+)", text, re.MULTILINE))
        return Usage(cpu, switches)

    def __sub__(self, before):
        return Usage(self.cpu_ns - before.cpu_ns, self.switches - before.switches)


def resident_bytes(pid):
    """Of a process and those below it; what they share counts for each."""
    texts = [pathlib.Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
             for process in tree_of(pid)]
    return sum(int(kib) * 1024 for text in texts for kib in re.findall(r"^VmRSS:\s+(\d+) kB", text, re.MULTILINE))


class Steal:
    """The share of the processors' time that the host gave to others, since it was made."""

    def __init__(self):
        self.before = self.read()

    @staticmethod
    def read():
        fields = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
        return [int(field) for field in fields]

    def share(self):
        spent = [now - then for now, then in zip(self.read(), self.before)]
        return spent[7] / max(1, sum(spent))


# ---- system calls

class Counter(contextlib.AbstractContextManager):
    """Counts the system calls of a process and of those below it while it is open; `calls` is there afterwards.
    `targets`: from their ids, what the command is told."""

    def __init__(self, command, targets, pid, attached):
        self.out = tempfile.NamedTemporaryFile("r", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen([*command, "-o", self.out.name, *targets(tree_of(pid))],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        self.pid, self.attached, self.calls = pid, attached, None

    def __enter__(self):
        try:
            end = time.monotonic() + ATTACH_SECONDS
            while not self.attached(self.process, self.pid):
                if self.process.poll() is not None or time.monotonic() > end:
                    raise Failure(f"{self.process.args[0]} could not attach to the server")
                time.sleep(0.02)
        except BaseException:
            self.end()
            raise
        return self

    def end(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(ATTACH_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        text = self.out.read()
        self.out.close()
        return text

    def __exit__(self, *_):
        self.calls = self.count(self.end())

    def count(self, text):
        raise NotImplementedError


class PerfCounter(Counter):
    """perf, which hardly slows the server down."""
    NAME = "perf stat"

    def __init__(self, pid):
        super().__init__(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter"],
                         lambda tree: ["-p", ",".join(map(str, tree))], pid, self.opened)

    @staticmethod
    def opened(process, _):
        """Its counters are open; perf has no other sign of it."""
        with contextlib.suppress(OSError):
            names = [os.readlink(entry) for entry in pathlib.Path(f"/proc/{process.pid}/fd").iterdir()]
            return any("perf_event" in name for name in names) and not time.sleep(0.1)
        return False

    def count(self, text):
        found = re.search(r"^(\d+),", text, re.MULTILINE)
        return int(found.group(1)) if found else None

    @staticmethod
    def usable():
        if shutil.which("perf") is None:
            return False
        asked = subprocess.run(["perf", "stat", "-x", ",", "-e", "raw_syscalls:sys_enter", "true"], capture_output=True,
                               text=True)
        return asked.returncode == 0 and re.search(r"^\d+,", asked.stderr, re.MULTILINE) is not None


class StraceCounter(Counter):
    """strace, which slows it down so much that more is done in one turn: a lower bound where turns are shared."""
    NAME = "strace, a lower bound"

    def __init__(self, pid):
        super().__init__(["strace", "-f", "-c"], lambda tree: [word for pid in tree for word in ("-p", str(pid))], pid,
                         self.traced)

    @staticmethod
    def traced(_, pid):
        return all(not re.search(r"^TracerPid:\s+0$", text, re.MULTILINE) for text in of_tasks(pid, "status"))

    def count(self, text):
        found = re.search(r"^100\.00\s+\S+\s+\S+\s+(\d+)\s.*total$", text, re.MULTILINE)
        return int(found.group(1)) if found else None

    @staticmethod
    def usable():
        return shutil.which("strace") is not None and \
            subprocess.run(["strace", "-c", "-o", os.devnull, "true"], capture_output=True).returncode == 0


def call_counter():
    """The counter this machine has, or None."""
    return next((kind for kind in (PerfCounter, StraceCounter) if kind.usable()), None)


# ---- the machine

def machine_of(build):
    """What figures can't be read without."""
    cpu = re.search(r"^model name\s*: (.+)$", pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    cache = (build / "CMakeCache.txt").read_text(encoding="utf-8")

    def cached(name):
        found = re.search(rf"^{name}:\w+=(.*)$", cache, re.MULTILINE)
        return found.group(1) if found else ""

    kind = cached("CMAKE_BUILD_TYPE")
    compiler = subprocess.run([cached("CMAKE_CXX_COMPILER"), "--version"], capture_output=True, text=True).stdout
    return {"cpu": cpu.group(1) if cpu else os.uname().machine, "cpus": len(os.sched_getaffinity(0)),
            "kernel": f"{os.uname().sysname} {os.uname().release}", "compiler": compiler.split("\n", 1)[0],
            "build": f"{kind} {cached(f'CMAKE_CXX_FLAGS_{kind.upper()}')}".strip(), "load_average": os.getloadavg()}
