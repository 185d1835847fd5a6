"""Chromium without a window, driven through ChromeDriver by the WebDriver protocol, and a proxy that writes down what it
asks for. Both come from the packages chromium and chromium-driver."""
import contextlib
import http.client
import json
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading

PATIENCE = 60  # seconds until something that hangs counts as hanging
ARGUMENTS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
             "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
             "--autoplay-policy=no-user-gesture-required")


def missing():
    """Why there is no browser to be had; empty if there is one."""
    lacking = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return f"{' and '.join(lacking)} not installed; cmake/setup.sh ci installs them" if lacking else ""


class Browser:
    """One browser with a profile of its own, from its start to its end."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.driver = subprocess.Popen([shutil.which("chromedriver"), "--port=0"], stdout=subprocess.PIPE,
                                       stderr=subprocess.STDOUT, text=True)
        self.session = None
        try:
            for line in self.driver.stdout:
                if found := re.search(r"started successfully on port (\d+)", line):
                    self.port = int(found.group(1))
                    break
            else:
                raise AssertionError("chromedriver did not come up")
            options = {"binary": shutil.which("chromium"),
                       "args": [*ARGUMENTS, f"--user-data-dir={pathlib.Path(self.folder.name) / 'profile'}"]}
            wishes = {"browserName": "chrome", "goog:chromeOptions": options, "timeouts": {"script": PATIENCE * 1000},
                      "goog:loggingPrefs": {"browser": "ALL"}}
            self.session = self.ask("POST", "/session", {"capabilities": {"alwaysMatch": wishes}})["sessionId"]
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.close()
        return False

    def close(self):
        with contextlib.suppress(OSError, AssertionError):
            if self.session:
                self.ask("DELETE", f"/session/{self.session}")
        self.driver.terminate()
        self.driver.communicate()
        self.folder.cleanup()

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2 * PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            value = json.loads(connection.getresponse().read())["value"]
        finally:
            connection.close()
        if isinstance(value, dict) and "error" in value:
            raise AssertionError(f"{path}: {value['error']}: {value.get('message', '')[:500]}")
        return value

    def open(self, address):
        self.ask("POST", f"/session/{self.session}/url", {"url": address})

    def run(self, script, *arguments):
        """What an async function with this body returns; its arguments are `given`."""
        wrapped = ("const given = Array.from(arguments), done = given.pop();"
                   f"(async () => {{ {script} }})().then(done, (error) => done({{ failed: String(error) }}));")
        value = self.ask("POST", f"/session/{self.session}/execute/async", {"script": wrapped, "args": list(arguments)})
        if isinstance(value, dict) and "failed" in value:
            raise AssertionError(value["failed"])
        return value

    def complaints(self):
        """What it wrote to its console."""
        return [entry["message"] for entry in self.ask("POST", f"/session/{self.session}/se/log", {"type": "browser"})]


class Proxy:
    """Passes connections on to a server and keeps the heads of the requests that went through. Knows only clients that
    send their requests one after the other, as browsers do."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.target = (host, int(port))
        self.heads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *failure):
        self.listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self.listener.close()
        return False

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self.carry, args=(client,), daemon=True).start()

    def carry(self, client):
        with client, socket.create_connection(self.target) as server:
            back = threading.Thread(target=self.pump, args=(server, client, lambda piece: None), daemon=True)
            back.start()
            self.pump(client, server, self.note)
            back.join()

    def note(self, piece):
        if re.match(rb"[A-Z]+ /\S* HTTP/1\.1\r\n", piece):
            self.heads.append(piece.split(b"\r\n\r\n", 1)[0].decode("latin-1"))

    @staticmethod
    def pump(source, target, note):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                note(piece)
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
            return
        for end in (source, target):  # one end is broken: so is the other
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
