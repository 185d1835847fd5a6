"""What run.py and study.py do alike: a pinned server, a closed loop of requests to it, and what they cost it.
Python's standard library only."""
import contextlib
import json
import shlex
import subprocess

from harness import Failure, Server
from probes import Usage

CONNECTIONS = 64
WARMUP_SECONDS = 0.5
MARGIN_SECONDS = 30  # of a load, for connecting and its end


@contextlib.contextmanager
def pinned_server(pinning, command):
    """A fresh one. That a server ends well is for the tests to prove."""
    server = Server(pinning.of_server(command))
    try:
        yield server
    finally:
        server.stop()


def run_generator(pinning, command, seconds, server):
    """What it prints. subprocess.run kills it if it is late, or if we are ended."""
    try:
        done = subprocess.run(pinning.of_generator(command), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=seconds + MARGIN_SECONDS)
    except subprocess.TimeoutExpired:
        raise Failure(f"{shlex.join(command)} did not end within {seconds + MARGIN_SECONDS:g} s; "
                      f"the server is {shlex.join(server.command)}") from None
    if done.returncode != 0:
        raise Failure(f"{shlex.join(command)} returned {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def closed_loop(pinning, generator, server, seconds, flags):
    """As many requests as the server answers; what kernel-load reports."""
    command = [generator, "--port", server.address.rsplit(":", 1)[1], "--seconds", str(seconds), *flags]
    report = json.loads(run_generator(pinning, command, seconds, server))
    if report["errors"]:
        raise Failure(f"{shlex.join(command)} lost {report['errors']} connections")
    return report


def cost_of(server, ask):
    """What `ask()`, which returns the number of requests and the seconds they took, costs the server's process."""
    before = Usage.of(server.process.pid)
    report = ask()
    spent = Usage.of(server.process.pid) - before
    requests = report["requests"]
    return {"cpu_us": spent.cpu_ns / 1000 / requests, "switches": spent.switches / requests,
            "rps": requests / report["seconds"], "core": spent.cpu_ns / 1e9 / report["seconds"], "requests": requests,
            "load": report}
