#!/usr/bin/env python3
"""The split screen of sluice-showcase --demo: its endpoints over plain HTTP, and its page in a browser, where slider and
switches are moved as a visitor would. Both sides are compared with each other and with what the right one did before,
never with a clock: a slow machine is slow on both. Needs chromium for the page; SLUICE_SHOTS keeps the pictures it
takes."""
import base64
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest
import xml.etree.ElementTree

import browser
from examples_test import Case, EXAMPLES, PATIENCE, Running, SOURCES, program

STORY_PATIENCE = 120  # seconds until a side has to have shown what it does
HAS_LOAD = (EXAMPLES / "demo_load").is_file()
NO_LOAD = "demo_load was not built"
JSON = {"Content-Type": "application/json"}


def showcase(address="127.0.0.1:0"):
    return Running("sluice-showcase", "--demo", "--quiet", "--listen", address)


@unittest.skipUnless(HAS_LOAD, NO_LOAD)
class Endpoints(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(showcase())

    def set(self, body, **headers):
        text = body if isinstance(body, str) else json.dumps(body)
        return self.server.ask("POST", "/demo/set", text, JSON | headers)

    def settings(self):
        return self.server.get("/demo/state").json()["settings"]

    def test_what_is_set_is_told(self):
        self.addCleanup(self.set, {"factor": 0.7, "retrying": False})
        self.expect(self.set({"factor": 2.5, "retrying": True}), 204, "")
        self.assertEqual(self.settings(), {"factor": 2.5, "retrying": True, "hurried": False, "slow_readers": False,
                                           "stalled": False})
        self.expect(self.set({"retrying": False}), 204, "")
        self.assertEqual(self.settings()["factor"], 2.5)

    def test_bad_values_change_nothing_and_are_explained(self):
        before = self.settings()
        for body in ({"factor": 0.4}, {"factor": 10.1}, {"factor": -1}, {"factor": "3"}, {"factor": None}, {"speed": 3},
                     {"stalled": 1}, {"retrying": True, "factor": 11}, "", "3", "[]", "{", '{"factor":1e999}',
                     '{"factor":3}{}', "{\"factor\":3} x"):
            with self.subTest(body=body):
                answer = self.set(body)
                self.assertEqual(answer.status, 400, answer.body)
                self.assertGreater(len(answer.json()["detail"].split()), 3)
        self.assertEqual(self.set('{"factor":3}' + " " * 2000).status, 413)
        self.assertEqual(self.server.get("/demo/state?after=x").status, 400)
        self.assertEqual(self.settings(), before)

    def test_a_foreign_page_cannot_drive_it(self):
        before = self.settings()
        own = "http://" + self.server.address
        port = self.server.address.rpartition(":")[2]
        for headers in ({"Origin": "http://example.org"}, {"Origin": "null"}, {"Origin": own + "0"},
                        {"Origin": "https://" + self.server.address}, {"Sec-Fetch-Site": "cross-site"},
                        {"Sec-Fetch-Site": "same-site"}, {"Origin": own, "Sec-Fetch-Site": "cross-site"},
                        {"Host": "rebound.example.org:" + port, "Origin": f"http://rebound.example.org:{port}"}):
            for path in ("/demo/set", "/demo/restart"):
                with self.subTest(headers=headers, path=path):
                    answer = self.server.ask("POST", path, '{"factor":3}', JSON | headers)
                    self.assertEqual(answer.status, 403, answer.body)
                    self.assertIn("/demo", answer.json()["detail"])
        self.assertEqual(self.settings(), before)
        for headers in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin"}, {"Host": "localhost:" + port}):
            self.assertEqual(self.server.ask("POST", "/demo/set", "{}", JSON | headers).status, 204, headers)

    def test_both_sides_answer_and_samples_come_once(self):
        seen = []
        end = time.monotonic() + STORY_PATIENCE
        while len(seen) < 8 and time.monotonic() < end:
            after = seen[-1]["number"] if seen else -1
            seen += self.server.get(f"/demo/state?after={after}").json()["samples"]
        numbers = [sample["number"] for sample in seen]
        self.assertEqual(numbers, list(range(numbers[0], numbers[0] + len(numbers))))
        for side in ("left", "right"):
            self.assertGreater(max(sample[side]["good"] for sample in seen), 0, seen)

    def test_both_sides_are_asked_for_the_same(self):
        planned = {"left": 0, "right": 0}
        last, count = -1, 0
        end = time.monotonic() + STORY_PATIENCE
        # Their windows do not begin at the same moment, so their sums differ by a part of one.
        while count < 20 or abs(planned["left"] - planned["right"]) > 0.05 * planned["right"]:
            self.assertLess(time.monotonic(), end, planned)
            time.sleep(0.05)
            for sample in self.server.get(f"/demo/state?after={last}").json()["samples"]:
                last = sample["number"]
                if count == 0 and not all(sample[side]["planned"] > 0 for side in planned):
                    continue  # the load has not begun
                count += 1
                for side in planned:
                    planned[side] += sample[side]["planned"]
        self.assertGreater(planned["right"], 0)

    def test_who_knows_an_earlier_server_gets_everything(self):
        end = time.monotonic() + PATIENCE
        while len(samples := self.server.get("/demo/state").json()["samples"]) < 2:
            self.assertLess(time.monotonic(), end, "no samples")
            time.sleep(0.05)
        newest = samples[-1]["number"]
        again = self.server.get(f"/demo/state?after={newest + 1_000_000}").json()["samples"]
        self.assertIn(newest, [sample["number"] for sample in again])
        newer = self.server.get(f"/demo/state?after={newest}").json()["samples"]
        self.assertTrue(all(sample["number"] > newest for sample in newer), newer)

    def test_its_scripts_are_its_own(self):
        for path in ("/demo", "/demo/demo.js", "/demo/demo.css"):
            answer = self.server.get(path)
            self.assertEqual(answer.status, 200)
            self.assertIn("default-src 'self'", answer.headers["Content-Security-Policy"])
            self.assertNotRegex(answer.body.decode(), r"https?://(?!www\.w3\.org/2000/svg)")


@unittest.skipUnless(HAS_LOAD, NO_LOAD)
class Recorder(Case):
    def test_the_table_and_the_picture_tell_what_was_seen(self):
        with showcase() as server, tempfile.TemporaryDirectory() as folder:
            picture = pathlib.Path(folder) / "demo.svg"
            command = [sys.executable, "-B", str(SOURCES / "demo_record.py"), "--address", server.address]
            done = subprocess.run([*command, "--svg", str(picture)], capture_output=True, text=True,
                                  timeout=STORY_PATIENCE, check=False)
            if "do not even manage the usual load" in done.stderr:
                self.skipTest(done.stderr.strip())
            self.assertIn(done.returncode, (0, 1), done.stderr)  # 1: a machine too busy for the story, and it says so
            self.assertEqual(done.returncode, int("NOT AS PROMISED" in done.stdout), done.stdout)
            rows = re.findall(r"^ +(\S+) x, ([\d,]+)/s +([\d,]+)/s .* ([\d,]+) +([\d,]+)/s .* ([\d,]+)$",
                              done.stdout, re.M)
            self.assertEqual([row[:2] for row in rows], [("0.7", "560"), ("3", "2,400"), ("0.7", "560")], done.stdout)
            drawing = xml.etree.ElementTree.parse(picture).getroot()
            lines = [one.get("d") for one in drawing.iter() if one.tag.endswith("path")]
            self.assertEqual(len(lines), 4)
            self.assertTrue(all(line.count("L") > 60 for line in lines), lines)
            texts = " ".join(one.text or "" for one in drawing.iter())
            self.assertIn("demo_record.py --svg", texts)
            self.assertIn("Linux", texts)
            if done.returncode == 1:
                self.skipTest(done.stdout[done.stdout.index("NOT AS PROMISED"):].strip())
            left, right = (int(rows[1][place].replace(",", "")) for place in (3, 5))
            self.assertGreater(left, 10 * right)

    def test_it_says_what_it_was_not_given(self):
        with Running("sluice-showcase", "--quiet", "--listen", "127.0.0.1:0") as server:
            for arguments, reason in ((["--table", "--address", server.address], "--demo"),
                                      (["--table", "--server", "/nonexistent"], "/nonexistent"),
                                      ([], "--svg")):
                done = subprocess.run([sys.executable, "-B", str(SOURCES / "demo_record.py"), *arguments],
                                      capture_output=True, text=True, timeout=PATIENCE, check=False)
                self.assertGreater(done.returncode, 0)
                self.assertIn(reason, done.stderr)
                self.assertNotIn("Traceback", done.stderr)


class Beside(Case):
    def test_without_the_flag_there_is_no_demo(self):
        with Running("sluice-showcase", "--quiet", "--listen", "127.0.0.1:0") as server:
            self.assertEqual(server.get("/demo").status, 404)
            self.assertEqual(server.ask("POST", "/demo/set", "{}").status, 404)

    @unittest.skipUnless(HAS_LOAD, NO_LOAD)
    def test_the_load_ends_with_the_server(self):
        for how in ("end", "kill"):
            with self.subTest(how=how), showcase() as server:
                load = load_of(server)
                if how == "end":
                    self.assertEqual(server.end(), 0)
                else:
                    server.process.kill()
                    server.wait()
                end = time.monotonic() + PATIENCE
                while is_load(load):
                    self.assertLess(time.monotonic(), end, "the load goes on alone")
                    time.sleep(0.05)


    @unittest.skipUnless(HAS_LOAD, NO_LOAD)
    def test_a_load_that_has_ended_is_told(self):
        with showcase() as server:
            os.kill(load_of(server), signal.SIGKILL)
            end = time.monotonic() + PATIENCE
            while not server.get("/demo/state").json()["load_ended"]:
                self.assertLess(time.monotonic(), end, "nobody has noticed")
                time.sleep(0.05)
            self.assertEqual(server.ask("POST", "/demo/set", '{"factor":3}', JSON).status, 204)
            self.assertEqual(server.end(), 0)

    @unittest.skipUnless(HAS_LOAD, NO_LOAD)
    def test_the_load_goes_to_this_machine_only(self):
        for arguments in ([], ["127.0.0.1:1", "127.0.0.1:2"], ["127.0.0.1:1", "192.0.2.1:80", "10"],
                          ["127.0.0.1:1", "127.0.0.1:2", "0"], ["127.0.0.1:1", "127.0.0.1:2", "10x"]):
            done = subprocess.run([EXAMPLES / "demo_load", *arguments], capture_output=True, text=True,
                                  timeout=PATIENCE, check=False, stdin=subprocess.DEVNULL)
            self.assertEqual(done.returncode, 2, arguments)
            self.assertIn("usage: demo_load 127.0.0.1:PORT", done.stderr)

    def test_a_taken_port_is_one_sentence_here_too(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            done = subprocess.run([program("sluice-showcase"), "--demo", "--listen", address], capture_output=True,
                                  text=True, timeout=PATIENCE, check=False)
            self.assertEqual(done.returncode, 1)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertIn("in use" if HAS_LOAD else "demo_load", done.stderr)


def load_of(server):
    """The id of its child."""
    pid = server.process.pid
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    if len(children) != 1:
        raise AssertionError(f"{len(children)} children")
    return int(children[0])


def is_load(pid):
    """Whether that process is there, and no zombie."""
    try:
        name, _, rest = pathlib.Path(f"/proc/{pid}/stat").read_text().partition("(")[2].rpartition(")")
    except OSError:
        return False
    return name == "demo_load" and rest.split()[0] != "Z"


NUMBERS = """
const numbers = {};
for (const side of ["left", "right"]) {
  numbers[side] = Object.fromEntries(["good", "p99", "waiting", "zombies"].map((id) =>
    [id, Number(document.getElementById(`${side}-${id}`).dataset.value) || 0]));
  numbers[side].refused = Number(document.getElementById(side).dataset.refused) || 0;
  numbers[side].offered = Number(document.getElementById(side).dataset.offered) || 0;
  numbers[side].words = document.getElementById(`${side}-words`).textContent;
  numbers[side].ready = document.getElementById(`${side}-ready`).textContent;
}
return numbers;
"""
# As a key press does it: the value changes, then the event tells.
SLIDE = """
const slider = document.getElementById("factor");
slider.value = given[0];
slider.dispatchEvent(new Event("input", { bubbles: true }));
return document.getElementById("factor-text").textContent;
"""
AT_USUAL, AT_THREE = 2, 10  # places on the slider


@unittest.skipUnless(HAS_LOAD, NO_LOAD)
@unittest.skipIf(browser.missing(), browser.missing())
class Page(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = cls.enterClassContext(showcase())
        cls.browser = cls.enterClassContext(browser.Browser())
        cls.shots = pathlib.Path(os.environ.get("SLUICE_SHOTS") or cls.enterClassContext(tempfile.TemporaryDirectory()))
        cls.browser.open(f"http://{cls.server.address}/demo")

    def setUp(self):
        self.click("normal")
        self.click("restart")
        before = self.until(lambda now: all(now[side]["good"] > 0.5 * now[side]["offered"] > 0 for side in now)
                            and now["right"]["refused"] == 0, "both are well")
        self.usual, self.usual_offered = before["right"]["good"], before["right"]["offered"]

    def command(self, name, **parameters):
        return self.browser.ask("POST", f"/session/{self.browser.session}/goog/cdp/execute",
                                {"cmd": name, "params": parameters})

    def click(self, name):
        self.browser.run("document.getElementById(given[0]).click();", name)

    def numbers(self):
        return self.browser.run(NUMBERS)

    def until(self, what, name):
        """The numbers as soon as they say so."""
        end = time.monotonic() + STORY_PATIENCE
        while not what(now := self.numbers()):
            self.assertLess(time.monotonic(), end, f"not seen: {name}; last: {now}")
            time.sleep(0.2)
        return now

    def picture(self, name):
        """Light and dark, on a desk and on a telephone; nothing may be wider than the window."""
        for width, height in ((1280, 900), (390, 844)):
            self.command("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1,
                         mobile=width < 500)
            for scheme in ("light", "dark"):
                self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
                wide, high = self.browser.run("""
                  show();
                  await new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)));
                  return [document.documentElement.scrollWidth, document.documentElement.scrollHeight];""")
                self.assertLessEqual(wide, width)
                shot = self.command("Page.captureScreenshot", format="png", captureBeyondViewport=True,
                                    clip={"x": 0, "y": 0, "width": width, "height": high, "scale": 1})
                (self.shots / f"{name}-{width}-{scheme}.png").write_bytes(base64.b64decode(shot["data"]))
        self.command("Emulation.setDeviceMetricsOverride", width=1280, height=900, deviceScaleFactor=1, mobile=False)
        self.command("Emulation.setEmulatedMedia", features=[])

    def test_three_times_too_much_and_back(self):
        self.picture("usual")
        self.assertEqual(self.browser.run(SLIDE, AT_THREE), "3 × capacity: 2,400 requests a second")
        # Left: nobody in time, a queue of seconds. Right: most of what the database can do, the rest refused at once.
        now = self.until(lambda now: now["left"]["good"] < 0.05 * now["right"]["good"] and now["left"]["zombies"] > 0
                         and now["right"]["good"] > 0.9 * self.usual and now["right"]["refused"] > 0
                         and now["right"]["p99"] > 0, "the sides part")
        self.assertGreater(now["left"]["waiting"], 10 * now["right"]["waiting"])
        self.assertEqual(now["left"]["refused"], 0)
        self.assertGreater(now["right"]["p99"], 0)
        self.assertLess(now["right"]["p99"], 2000, "the clients' patience")
        first = now["left"]["waiting"]
        self.until(lambda now: now["left"]["waiting"] > first + self.usual, "the left queue grows on")
        self.picture("three")

        self.browser.run(SLIDE, AT_USUAL)
        now = self.until(lambda now: now["right"]["offered"] < 1.2 * self.usual_offered and now["right"]["refused"] == 0
                         and now["right"]["good"] > 0.8 * now["right"]["offered"], "the right side is back")
        self.assertGreater(now["left"]["waiting"], self.usual, "the left queue is there yet")
        self.assertLess(now["left"]["good"], 0.1 * now["right"]["good"])
        self.assertGreater(now["left"]["zombies"], 0)
        self.assertIn("left over", now["left"]["words"])
        self.picture("after")

        self.click("restart")
        self.until(lambda now: now["left"]["waiting"] < 0.2 * self.usual
                   and now["left"]["good"] > 0.5 * now["left"]["offered"] > 0, "a restart helps")

    def test_a_database_that_hangs(self):
        self.click("stalled")
        now = self.until(lambda now: now["right"]["zombies"] == 16 and "not ready" in now["right"]["ready"]
                         and now["right"]["refused"] > 0 and now["left"]["waiting"] > self.usual, "both hang")
        self.assertEqual(now["left"]["zombies"], 16)
        self.assertNotIn("not ready", now["left"]["ready"])
        self.assertLess(now["right"]["waiting"], now["left"]["waiting"] / 2)
        self.picture("stalled")
        self.click("stalled")
        self.until(lambda now: now["right"]["good"] > 0.8 * now["right"]["offered"] > 0 and now["right"]["zombies"] == 0
                   and "not ready" not in now["right"]["ready"], "the right side is back")

    def test_slow_readers_hold_up_who_writes_by_himself(self):
        self.click("slow_readers")
        self.until(lambda now: now["left"]["good"] < 0.5 * now["right"]["good"]
                   and now["right"]["good"] > 0.7 * now["right"]["offered"], "the left threads wait for their clients")

    def test_it_can_be_used_without_a_mouse_and_without_eyes(self):
        unnamed = self.browser.run("""
          const controls = [...document.querySelectorAll("input, button, summary")];
          return controls.filter((one) => !(one.labels?.length || one.textContent.trim())).map((one) => one.id);""")
        self.assertEqual(unnamed, [])
        self.assertEqual(self.browser.run("return [...document.querySelectorAll('svg.chart')]"
                                          ".filter((one) => !one.getAttribute('aria-label')).length;"), 0)
        ids = self.browser.run("return [...document.querySelectorAll('[id]')].map((one) => one.id);")
        self.assertEqual(len(ids), len(set(ids)))
        self.browser.run("document.getElementById('factor').focus();")
        self.press("ArrowRight", 39)
        self.until_set("factor", 0.8)
        self.browser.run("document.getElementById('retrying').focus();")
        self.press(" ", 32)
        self.until_set("retrying", True)
        figures = self.browser.run("return [...document.querySelectorAll('#figures td')].map((one) => one.textContent);")
        self.assertGreater(len(figures), 20)
        self.assertNotIn("", figures)
        spoken = self.browser.run("return document.getElementById('summary').textContent;")
        self.assertIn("sluice: ", spoken)
        self.assertEqual(self.browser.complaints(), [])

    def test_a_refusal_stays_until_a_change_is_accepted(self):
        note = "return document.getElementById('note').textContent;"
        # One that was under way, and one that has begun since.
        looks = ("for (let count = 0; count < 2; ++count) {"
                 "  for (const last = facts; facts === last;) await new Promise((go) => setTimeout(go, 20));"
                 "}")
        self.addCleanup(self.browser.complaints)  # it notes every 400
        self.assertEqual(self.browser.run(looks + note), "")
        self.assertIn("factor", self.browser.run("await post('/demo/set', { factor: 99 }); " + looks + note))
        self.assertEqual(self.browser.run("await post('/demo/set', { factor: 0.7 }); " + looks + note), "")

    def test_what_is_read_out_is_written_only_when_it_changes(self):
        written = self.browser.run("""
          await posts;
          show_settings();
          const seen = new MutationObserver(() => {}), ids = ["note", "factor-text"];
          const all = { childList: true, characterData: true, subtree: true };
          for (const id of ids) seen.observe(document.getElementById(id), all);
          tell(document.getElementById("note").textContent);
          show_settings();
          const same = seen.takeRecords().length;
          tell("news");
          show_factor(10);
          const other = new Set(seen.takeRecords().map((one) => one.target.id));
          show_settings();
          return [same, [...other].sort()];""")
        self.assertEqual(written, [0, ["factor-text", "note"]])
        self.assertEqual(self.browser.run("""
          tell("");
          const note = document.getElementById("note"), style = getComputedStyle(note);
          return [note.hidden, style.display, style.visibility, note.offsetHeight];"""), [False, "block", "visible", 0])
        self.assertEqual(self.browser.run("return find('factor-text').getAttribute('aria-live');"), "off")

    def until_set(self, name, value):
        end = time.monotonic() + PATIENCE
        while self.server.get("/demo/state").json()["settings"][name] != value:
            self.assertLess(time.monotonic(), end, f"{name} is not {value}")
            time.sleep(0.05)

    def press(self, key, code):
        text = {"text": key} if key == " " else {}
        self.command("Input.dispatchKeyEvent", type="keyDown", key=key, windowsVirtualKeyCode=code, **text)
        self.command("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)


@unittest.skipUnless(HAS_LOAD, NO_LOAD)
@unittest.skipIf(browser.missing(), browser.missing())
class OpenPage(Case):
    def test_goes_on_when_the_showcase_is_started_again(self):
        with browser.Browser() as page:
            with showcase() as server:
                page.open(f"http://{server.address}/demo")
                before = self.until(page, lambda number: number >= 20)
            with showcase(server.address):
                now = self.until(page, lambda number: 0 <= number < before)
                self.until(page, lambda number: now < number)
                numbers = page.run("return samples.map((one) => one.number);")
                self.assertEqual(numbers, sorted(set(numbers)))

    def until(self, page, what):
        """The number of its newest sample as soon as it is so."""
        end = time.monotonic() + PATIENCE
        while not what(number := page.run("return samples.length ? samples.at(-1).number : -1;")):
            self.assertLess(time.monotonic(), end, f"the newest sample is {number}")
            time.sleep(0.05)
        return number


if __name__ == "__main__":
    unittest.main(verbosity=2)
