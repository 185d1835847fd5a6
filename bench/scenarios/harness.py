"""What the scripts here share: a server from its start to its end, sluice-load, and which processor each of them gets.
Python's standard library only."""
import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build" / "release"
START_SECONDS = 20  # until a server that has not come up counts as failed
END_SECONDS = 40    # more than a server's drain takes at most

MEASURED, INVALID = 0, 7  # of what sluice-load returns: both have written a result


class Failure(Exception):
    """What went wrong, in a line for the user."""


def program(path, hint):
    path = pathlib.Path(path)
    if not path.is_file():
        raise Failure(f"{path} is missing. {hint}")
    return str(path.resolve())


def default_programs(parser, server, server_hint):
    """The two options every script has."""
    parser.add_argument("--server", default=BUILD / server, type=pathlib.Path, metavar="FILE",
                        help=f"the server's program; {server_hint}")
    parser.add_argument("--load", default=BUILD / "bench" / "sluice-load", type=pathlib.Path, metavar="FILE",
                        help="sluice-load; that of the release build")


class Pinning:
    """The server on one processor and the generator on another, where there are two."""

    def __init__(self):
        cpus = sorted(os.sched_getaffinity(0))
        apart = len(cpus) >= 2 and shutil.which("taskset") is not None
        self.server, self.generator = (cpus[0], cpus[1]) if apart else (None, None)
        self.why_not = "one processor" if len(cpus) < 2 else "no taskset"
        # Whatever else runs on the generator's processor makes it late, so it goes before all others where it may.
        # Not as a real-time process: it spins between sends, and those the kernel stops for 50 ms in every second.
        self.first = ["nice", "-n", "-20"] if apart and self.may_be_first() else []

    def __str__(self):
        if self.server is None:
            return f"unpinned ({self.why_not}): server and generator disturb each other, the times are no measurement"
        before = ", before all other programs there" if self.first else ""
        return f"server on CPU {self.server}, generator on CPU {self.generator}{before}"

    @staticmethod
    def may_be_first():
        if shutil.which("nice") is None:
            return False
        refused = subprocess.run(["nice", "-n", "-20", "true"], capture_output=True, text=True).stderr
        return not refused

    @staticmethod
    def pinned(cpu, command):
        return command if cpu is None else ["taskset", "-c", str(cpu), *command]

    def of_server(self, command):
        return self.pinned(self.server, command)

    def of_generator(self, command):
        return self.pinned(self.generator, [*self.first, *command])


class Server:
    """A server that prints `listening on 127.0.0.1:PORT` when it is ready and drains on SIGTERM. Use it in a `with`."""

    def __init__(self, command):
        self.command = command
        self.said = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.said, stderr=subprocess.STDOUT)
        try:
            self.address = self.wait_for_address()
        except BaseException:
            self.stop()
            raise

    def text(self):
        self.said.seek(0)
        return self.said.read()

    def wait_for_address(self):
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            ended = self.process.poll() is not None
            found = re.search(r"^listening on (127\.0\.0\.1:\d+)$", self.text(), re.MULTILINE)
            if found and not ended:
                return found.group(1)
            if ended:
                break
            time.sleep(0.02)
        raise Failure(f"{shlex.join(self.command)} did not come up:\n{self.text()}")

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        by_itself = self.process.poll() is not None
        code = self.stop()
        if not failed and (by_itself or code != 0):
            raise Failure(f"{shlex.join(self.command)} ended {'by itself ' if by_itself else ''}with {code}")
        return False

    def stop(self):
        """Ends it, by force if it does not end by itself. Returns its exit code."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.said.close()
        return self.process.returncode


def run_load(command, seconds):
    """Runs sluice-load to its end, for `seconds` at most. Returns what it returns: MEASURED or INVALID."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True, errors="replace")
    try:
        _, errors = process.communicate(timeout=seconds)
    except BaseException as why:  # a signal to us as well: it must not outlive us
        process.kill()
        process.communicate()
        if isinstance(why, subprocess.TimeoutExpired):
            raise Failure(f"{shlex.join(command)} did not end within {seconds:.0f} s") from None
        raise
    if process.returncode not in (MEASURED, INVALID):
        raise Failure(f"{shlex.join(command)} returned {process.returncode}: {errors.strip() or 'nothing said'}")
    return process.returncode


def commit():
    """The commit of the tree, and whether something was changed since; "unknown" outside of a repository."""
    def git(*arguments):
        return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True).stdout
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        changed = " with changes" if git("status", "--porcelain") else ""
        return git("rev-parse", "--short=12", "HEAD").strip() + changed
    return "unknown"


def replace_section(page, marks, section):
    """Puts `section` between the two marks of a page."""
    text = page.read_text(encoding="utf-8")
    begin, end = (text.find(mark) for mark in marks)
    if begin < 0 or end < begin:
        raise Failure(f"{page} has lost its marks {marks[0]} and {marks[1]}; the table is in table.md")
    page.write_text(text[:begin + len(marks[0])] + "\n" + section + "\n" + text[end:], encoding="utf-8")


def run_script(main):
    """Calls main() so that SIGTERM ends what it has started too, and a Failure is one line."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"{pathlib.Path(sys.argv[0]).name}: {failure}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
