#!/usr/bin/env python3
"""The example `upload`: a gigabyte by curl and back again, watched while it goes; its page in a browser, which plays a
film and jumps about in it by asking for ranges."""
import contextlib
import json
import os
import pathlib
import re
import subprocess
import tempfile
import unittest
import zlib

import browser
import film
from bodies_test import MEMORY_BYTES_MAX, forget_peak, is_sanitized, memory_of
from examples_test import PATIENCE, Case, Running, program, tool

PIECE_BYTES = 1024 * 1024


class Upload(Case):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.enterContext(Running("upload", str(self.folder), "127.0.0.1:0"))
        self.sanitized = is_sanitized(self.server.process)
        self.pieces = 64 if self.sanitized else 1024

    def url(self, path):
        return f"http://{self.server.address}{path}"

    def curl(self, *arguments, **options):
        return subprocess.Popen([tool("curl"), "--silent", "--show-error", "--fail", *map(str, arguments)], **options)

    def watch(self):
        """What is under way: name -> (received, size)."""
        found = self.server.get("/uploads").json()["uploads"]
        return {upload["name"]: (upload["received"], upload["size"]) for upload in found}

    def send_in_pieces(self, name, *arguments):
        """By curl, out of a pipe; its progress is asked for now and then. The checksum of what was sent, and the
        amounts seen on the way."""
        client = self.curl(*arguments, "-T", "-", self.url(f"/files/{name}"), stdin=subprocess.PIPE)
        pattern = os.urandom(PIECE_BYTES)
        checksum, seen = 0, []
        for index in range(self.pieces):
            piece = index.to_bytes(8, "big") + pattern[8:]
            client.stdin.write(piece)
            checksum = zlib.crc32(piece, checksum)
            if index % 16 == 15:
                seen.append(self.watch()[name])
        client.stdin.close()
        self.assertEqual(client.wait(PIECE_BYTES), 0)
        return checksum, seen

    @staticmethod
    def checksum_of(path):
        checksum = 0
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                checksum = zlib.crc32(piece, checksum)
        return checksum

    def test_a_gigabyte_comes_in_watched_and_goes_out_again(self):
        forget_peak(self.server.process)
        before = memory_of(self.server.process)["VmRSS"]
        checksum, seen = self.send_in_pieces("large.bin")
        path = self.folder / "large.bin"
        size = self.pieces * PIECE_BYTES
        self.assertEqual(path.stat().st_size, size)
        self.assertEqual(self.checksum_of(path), checksum)
        received = [bytes_received for bytes_received, announced in seen]
        self.assertEqual(received, sorted(received))
        self.assertLess(received[0], size // 2)
        self.assertGreater(received[-1], size // 2)
        self.assertEqual(self.watch(), {})

        # And out: cut off in the middle, then resumed.
        with tempfile.TemporaryDirectory() as folder:
            part = pathlib.Path(folder) / "part"
            with part.open("wb") as file:
                client = self.curl(self.url("/files/large.bin"), stdout=subprocess.PIPE)
                file.write(client.stdout.read(size // 3))
                client.kill()
                client.communicate()
            self.assertEqual(self.curl("-C", "-", "-o", part, self.url("/files/large.bin")).wait(PIECE_BYTES), 0)
            self.assertEqual(part.stat().st_size, size)
            self.assertEqual(self.checksum_of(part), checksum)
        if not self.sanitized:
            self.assertLess(memory_of(self.server.process)["VmHWM"] - before, MEMORY_BYTES_MAX)

    def test_an_upload_that_breaks_off_leaves_nothing(self):
        client = self.curl("-T", "-", self.url("/files/half.bin"), stdin=subprocess.PIPE)
        client.stdin.write(bytes(PIECE_BYTES))
        client.stdin.flush()
        while "half.bin" not in self.watch():
            self.assertIsNone(client.poll())
        client.kill()
        with contextlib.suppress(BrokenPipeError):
            client.communicate()
        while self.watch():
            pass
        self.assertEqual(self.server.get("/files/half.bin").status, 404)
        while any(self.folder.iterdir()):  # the handler has learnt of it, and is about to remove what it wrote
            pass

    def test_names_stay_in_the_folder(self):
        for name in ("..%2Fout", "%2e%2e", ".hidden", "a%00b", "x" * 101, "a%20b"):
            self.assertIn(self.server.ask("PUT", f"/files/{name}", b"x").status, (400, 404), name)
        self.assertEqual(list(self.folder.iterdir()), [])
        self.expect(self.server.ask("PUT", "/files/a.txt", b"one"), 201, "")
        self.expect(self.server.ask("PUT", "/files/a.txt", b"two"), 204, "")
        self.assertEqual((self.folder / "a.txt").read_bytes(), b"two")

    def test_bad_usage_is_told(self):
        done = subprocess.run([program("upload")], capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 2)
        done = subprocess.run([program("upload"), "/nonexistent/folder"], capture_output=True, timeout=PATIENCE,
                              check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"/nonexistent/folder", done.stderr)


WAIT_FOR = """
const until = async (what) => { while (!what()) await new Promise((go) => setTimeout(go, 20)); return what(); };
"""

# Jumps to each place in turn; the colour of the picture there, 0 to 255 each.
SEEK = WAIT_FOR + """
const video = await until(() => document.querySelector("video"));
await until(() => video.readyState >= 1 || video.error);
if (video.error) throw video.error.message;
const canvas = document.createElement("canvas");
canvas.width = canvas.height = 1;
const paper = canvas.getContext("2d", { willReadFrequently: true });
const colours = [];
for (const second of given[0]) {
  await new Promise((go) => { video.onseeked = go; video.currentTime = second; });
  await until(() => video.readyState >= 2);
  paper.drawImage(video, 0, 0, 1, 1);
  colours.push(Array.from(paper.getImageData(0, 0, 1, 1).data.slice(0, 3)));
}
return { duration: video.duration, colours };
"""

SEND = WAIT_FOR + """
const drawn = [];
const watching = new MutationObserver(() => {
  for (const bar of document.querySelectorAll("#uploads progress")) drawn.push(bar.value / bar.max);
});
watching.observe(document.getElementById("uploads"), { childList: true });
await send(given[0], new Blob([new Uint8Array(given[1]).fill(120)]));
await until(() => document.getElementById("news").textContent !== "");
return { news: document.getElementById("news").textContent, drawn,
         files: Array.from(document.querySelectorAll("#files a"), (link) => link.textContent) };
"""


@unittest.skipIf(browser.missing(), browser.missing())
class Page(Case):
    SECONDS = 60

    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.server = self.enterContext(Running("upload", str(self.folder), "127.0.0.1:0"))
        self.browser = self.enterContext(browser.Browser())

    def test_a_film_is_played_from_anywhere_by_its_ranges(self):
        (self.folder / "film.webm").write_bytes(film.film(self.SECONDS, 512 * 1024))
        with browser.Proxy(self.server.address) as proxy:
            self.browser.open(f"http://{proxy.address}/#film.webm")
            found = self.browser.run(SEEK, [50.5, 10.5, 30.5])
            self.assertEqual(round(found["duration"]), self.SECONDS)
            strongest = [film.COLOURS[colour.index(max(colour))] for colour in found["colours"]]
            self.assertEqual(strongest, ["blue", "red", "green"])
            # It did not read the 25 MB before the first place to get there.
            starts = {int(start) for head in proxy.heads for start in re.findall(r"(?im)^range: bytes=(\d+)-", head)}
            self.assertTrue(any(start > 20_000_000 for start in starts), starts)
            self.assertEqual(self.browser.complaints(), [])  # while the proxy is there: the player goes on asking

    def test_a_file_is_sent_and_its_progress_shown(self):
        self.browser.open(f"http://{self.server.address}/")
        size = 64 * 1024 * 1024
        found = self.browser.run(SEND, "sent.bin", size)
        self.assertEqual(found["news"], "sent.bin has arrived.")
        self.assertIn("sent.bin", found["files"])
        self.assertTrue(all(0 <= part <= 1 for part in found["drawn"]), found["drawn"])
        self.assertEqual((self.folder / "sent.bin").read_bytes(), b"x" * size)
        refused = self.browser.run(SEND, ".hidden", 10)
        self.assertIn("refused: a file's name", refused["news"])


if __name__ == "__main__":
    unittest.main()
