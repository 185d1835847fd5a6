#!/usr/bin/env python3
"""A 64 KiB file and a 64 KiB body from memory: sluice beside nginx, one loop and one worker on the same processor, wrk on
another, in turns.

    apt-get install nginx-light wrk
    cmake --preset release && cmake --build --preset release
    bench/peers/files.py                     about two minutes
    bench/peers/files.py --rounds 1 --seconds 2

Prints each round and the medians, and the ratio sluice / nginx of each kind. nginx serves the file twice: as it comes
(a look at the disk for every request) and with open_file_cache, which is what sluice's own memory of small files is to be
compared with. nginx has no body from memory of that size, so its quicker file stands in for it.
"""
import argparse
import contextlib
import pathlib
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SIZE = 65_536

NGINX = """
worker_processes 1;
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on; tcp_nopush on; keepalive_requests 1000000000;
  server {{ listen 127.0.0.1:{plain}; root {folder}/site; }}
  server {{ listen 127.0.0.1:{cached}; root {folder}/site; open_file_cache max=1000 inactive=60s; open_file_cache_valid 1s; }}
}}
"""


def free_port():
    with contextlib.closing(socket.socket()) as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(port):
    for _ in range(500):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.01)
    sys.exit(f"nothing listens on port {port}")


@contextlib.contextmanager
def running(command):
    process = subprocess.Popen(["taskset", "-c", "0", *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)


def rate(url, seconds):
    """Requests per second; every answer must be a whole one."""
    output = subprocess.run(["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}", url], capture_output=True,
                            text=True, check=True).stdout
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{url}: {output}")
    requests = float(re.search(r"Requests/sec:\s+([\d.]+)", output).group(1))
    total, unit = re.search(r"requests in [\d.]+s, ([\d.]+)(\w+) read", output).groups()
    bytes_read = float(total) * {"MB": 2**20, "GB": 2**30, "KB": 2**10, "TB": 2**40}[unit]
    if bytes_read < 0.95 * requests * seconds * SIZE:
        sys.exit(f"{url}: answers are too small: {output}")
    return requests


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7, metavar="N", help="through all of them; 7")
    parser.add_argument("--seconds", type=int, default=4, metavar="N", help="of each run; 4")
    parser.add_argument("--showcase", type=pathlib.Path, metavar="FILE",
                        default=ROOT / "build" / "release" / "examples" / "sluice-showcase")
    options = parser.parse_args()
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    for program in (nginx, str(options.showcase)):
        if not pathlib.Path(program).is_file():
            sys.exit(f"{program} is missing")
    with tempfile.TemporaryDirectory() as folder:
        site = pathlib.Path(folder) / "site"
        site.mkdir()
        (site / "file.bin").write_bytes(b"x" * SIZE)
        pathlib.Path(folder).chmod(0o755)
        plain, cached, ours = free_port(), free_port(), free_port()
        conf = pathlib.Path(folder) / "nginx.conf"
        conf.write_text(NGINX.format(folder=folder, plain=plain, cached=cached), encoding="ascii")
        with running([nginx, "-p", folder, "-c", str(conf)]), \
             running([str(options.showcase), "--listen", f"127.0.0.1:{ours}", "--loops", "1", "--quiet", "--site", folder + "/site"]):
            urls = {"nginx file": f"http://127.0.0.1:{plain}/file.bin",
                    "nginx file, open_file_cache": f"http://127.0.0.1:{cached}/file.bin",
                    "sluice file": f"http://127.0.0.1:{ours}/static/file.bin",
                    "sluice memory": f"http://127.0.0.1:{ours}/big"}
            for port in (plain, cached, ours):
                wait_for(port)
            found = {name: [] for name in urls}
            for number in range(options.rounds):
                for name, url in urls.items():
                    found[name].append(rate(url, options.seconds))
                print(f"round {number + 1}: " + ", ".join(f"{name} {found[name][-1]:,.0f}/s" for name in urls), flush=True)
    version = subprocess.run([nginx, "-v"], capture_output=True, text=True, check=True).stderr.strip()
    print(version)
    for name, rates in found.items():
        print(f"{name:28} median {statistics.median(rates):>9,.0f}/s  {min(rates):,.0f} to {max(rates):,.0f}")
    for ours_name in ("sluice file", "sluice memory"):
        for theirs in ("nginx file", "nginx file, open_file_cache"):
            ratios = [a / b for a, b in zip(found[ours_name], found[theirs])]
            print(f"{ours_name} / {theirs}: {statistics.median(ratios):.2f}  ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
