#!/usr/bin/env python3
"""The small server on nginx, one worker: starts it on the loopback address with a configuration in a temporary folder, and
ends with it. `/` is a `return`, `/big` a file that nginx holds open; nothing of nginx's own answers with a body's size.

    bench/peers/nginx.py --port 8080
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

START_SECONDS, END_SECONDS = 10, 10
CONF = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 16384; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on; tcp_nopush on; open_file_cache max=10 inactive=1h; open_file_cache_valid 1h;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = / {{ default_type text/plain; return 200 "Hello, World!"; }}
    location = /big {{ default_type application/octet-stream; root {folder}/site; }}
    location / {{ return 404; }}
  }}
}}
"""


def find():
    """The program, which is not on every user's path; None where nginx is not installed."""
    return shutil.which("nginx", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def wait_for(process, port):
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    sys.exit("nginx.py: nginx did not come up")


def serve(nginx, folder, port):
    site = pathlib.Path(folder) / "site"
    site.mkdir()
    (site / "big").write_bytes(b"x" * 65_536)
    pathlib.Path(folder).chmod(0o755)  # the worker of a master that is root is not
    conf = pathlib.Path(folder) / "nginx.conf"
    conf.write_text(CONF.format(folder=folder, port=port), encoding="ascii")
    process = subprocess.Popen([nginx, "-p", folder, "-c", str(conf)], stdin=subprocess.DEVNULL)
    try:
        wait_for(process, port)
        version = subprocess.run([nginx, "-v"], capture_output=True, text=True).stderr.strip().rsplit("/", 1)[-1]
        print(f"version nginx {version}\nlistening on 127.0.0.1:{port}", file=sys.stderr, flush=True)
        return process.wait()
    finally:
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the kernel's choice without it")
    options = parser.parse_args()
    if not 0 <= options.port <= 65_535:
        parser.error("--port: 0 to 65535")
    nginx = find()
    if nginx is None:
        sys.exit("nginx.py: nginx is missing. cmake/setup.sh peers installs it.")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    with tempfile.TemporaryDirectory() as folder:
        return serve(nginx, folder, options.port or free_port())


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
