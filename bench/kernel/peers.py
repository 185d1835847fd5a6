"""The other servers that run.py measures with --peers: where each is found, what it can't be asked, and how long it takes
to be at its speed. Their programs are in ../peers, and each names its own version."""
import dataclasses
import importlib.util
import pathlib
import shutil
import sys

from workloads import IDLE

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "peers"


def load_nginx():
    spec = importlib.util.spec_from_file_location("peer_nginx", FOLDER / "nginx.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def built(name):
    """How to find a program of the build."""
    def command(build):
        file = build / "bench" / name
        return [str(file)] if file.is_file() else None
    return command


def nginx_command(_):
    return [sys.executable, "-B", str(FOLDER / "nginx.py")] if load_nginx().find() else None


def node_command(_):
    node = shutil.which("node")
    return [node, str(FOLDER / "server.mjs")] if node else None


@dataclasses.dataclass
class Peer:
    """`command`: from the build's folder, None where it is missing. `package`: Debian's. `lacks`: why, for each workload
    that it can't be asked."""
    command: object
    package: str
    lacks: dict = dataclasses.field(default_factory=dict)
    warmup_seconds: float = 0.5


PEERS = {
    "h2o": Peer(built("peer-small-h2o"), "libh2o-evloop-dev"),
    "libevent": Peer(built("peer-small-libevent"), "libevent-dev"),
    "beast": Peer(built("peer-small-beast"), "libboost-dev"),
    "httplib": Peer(built("peer-small-httplib"), "libcpp-httplib-dev",
                    {"depth-16": "cpp-httplib answers the first of the requests that it reads at once and loses the others",
                     IDLE: "cpp-httplib has a thread for each connection that is kept, here 128 of them"}),
    "nginx": Peer(nginx_command, "nginx-light",
                  {"post": "nginx itself has nothing that reads a body and answers with its size"}),
    "node": Peer(node_command, "nodejs", warmup_seconds=2),  # until it has compiled what it runs
}


def why_missing(name):
    return f"not there; cmake/setup.sh peers installs it (Debian: {PEERS[name].package}), then build again"
