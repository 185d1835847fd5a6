#!/usr/bin/env python3
"""The C++ in the README.md files is compiled, linked and run, so that it can't grow old.

Every ```cpp block is one of two kinds:

  * a program: it holds `int main`. A program with a fixed port gets port 0 in its place.
  * a fragment: the body of a function, with `using namespace sluice`, <chrono>'s literals, `Router& app` and the
    stand-ins of PRELUDE in scope. All fragments of a file become one program.

An HTML comment on the line before the block says what is done with it beyond compiling:

  <!-- snippet: run -->                                   a program is started, is alive after a second, and ends by
                                                          itself within ten seconds of SIGTERM
  <!-- snippet: end -->                                   a program is started and ends with 0 within a minute
  <!-- snippet: body -->                                  a fragment is called
  <!-- snippet: routes | GET /a 200 | POST /b 422 -->     a fragment is called, its routes are served, and each request
                                                          gets that status; more may follow the path: " x-name: value"

A fragment without such a comment is a fault: nothing is left untested by accident.
"""
import argparse
import http.client
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

BLOCK = re.compile(r"(?:^<!-- snippet: ([^\n]*?) *-->\n)?^```cpp[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)
PAGES = ("README.md", "src/README.md", "tests/README.md", "examples/README.md", "bench/load/README.md",
         "bench/sim/README.md")

PRELUDE = """
#include <array>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <expected>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sluice/extra/compression.hpp>
#include <sluice/extra/cookies.hpp>
#include <sluice/extra/files.hpp>
#include <sluice/extra/form.hpp>
#include <sluice/extra/json.hpp>
#include <sluice/extra/multipart.hpp>
#include <sluice/extra/negotiate.hpp>
#include <sluice/extra/policy.hpp>
#include <sluice/extra/recording.hpp>
#include <sluice/extra/signals.hpp>
#include <sluice/sluice.hpp>

using namespace std::chrono_literals;
using namespace sluice;

// What a program would have of its own.
struct Database {
  std::optional<std::string> find(std::uint64_t id, std::chrono::nanoseconds) {
    if (id != 7) return std::nullopt;
    return R"({"id":7})";
  }
};
struct Renderer {  // answers from a thread of its own
  template <class Done>
  void submit(std::string_view input, Done done) {
    threads.emplace_back([input, done = std::move(done)]() mutable { done(std::string{input}); });
  }
  std::vector<std::jthread> threads;
};
struct Upstream {
  template <class Done, class Failed>
  void fetch(Done done, Failed) { done("[]"); }
};
"""

MAIN = """
int main() {
  Database database;
  Renderer renderer;
  Upstream upstream;
  struct Snippet { int number; bool serve; void (*call)(Router&, Database&, Renderer&, Upstream&); };
  const Snippet snippets[] = {%s};
  std::vector<std::unique_ptr<Server>> servers;
  for (const Snippet& snippet : snippets) {
    Router app;
    snippet.call(app, database, renderer, upstream);
    if (!snippet.serve) continue;
    servers.push_back(std::make_unique<Server>(std::move(app), ServerOptions{.listen = {"127.0.0.1:0"}, .loops = 1}));
    servers.back()->start();
    std::fprintf(stderr, "serving %%d %%s\\n", snippet.number, servers.back()->addresses().front().c_str());
  }
  std::fprintf(stderr, "ready\\n");
  std::getchar();
}
"""


class Snippet:
    def __init__(self, number, line, marker, body):
        self.number, self.line, self.body = number, line, body
        self.marker = (marker or "").strip()
        self.program = "int main" in body
        self.serves = self.marker.startswith("routes")
        self.requests = [request.split() for request in self.marker.split("|")[1:]]

    def fault(self):
        if self.program and self.marker not in ("", "run", "end"):
            return f"a program is marked \"{self.marker}\""
        if not self.program and not self.serves and self.marker != "body":
            return "a fragment has no comment that says what to do with it"
        if self.serves and not self.requests:
            return "routes without a request"
        return None


def snippets(text):
    for number, found in enumerate(BLOCK.finditer(text), 1):
        line = text.count("\n", 0, found.start(2)) + 1
        yield Snippet(number, line, found.group(1), found.group(2))


def compile_program(args, name, code, scratch):
    source = pathlib.Path(scratch) / f"{name}.cpp"
    source.write_text(code, encoding="utf-8")
    binary = source.with_suffix("")
    define = ["-DSLUICE_SHARED"] if ".so" in args.library.suffixes else []
    done = subprocess.run(
        [args.compiler, "-std=c++23", "-Wall", "-Wextra", "-Werror", *define, f"-I{args.root}/include", str(source),
         *(str(library) for library in args.bench), str(args.library),
         *(f"-l{name}" for name in args.link), f"-Wl,-rpath,{args.library.parent}", "-pthread", "-o", str(binary)],
        capture_output=True, text=True)
    return binary, done.stderr if done.returncode else None


def run_program(binary):
    process = subprocess.Popen([str(binary)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(1)
        if process.poll() is not None:
            return f"ended at once ({process.returncode}):\n{process.stdout.read()}"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        # A program that asks for no signal handling dies of the signal, one that drains returns 0.
        if process.returncode not in (0, -signal.SIGTERM):
            return f"ended with {process.returncode}:\n{process.stdout.read()}"
        return None
    except subprocess.TimeoutExpired:
        return "did not end within 10 s of SIGTERM"
    finally:
        process.kill()
        process.wait()


def run_to_the_end(binary):
    try:
        done = subprocess.run([str(binary)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    except subprocess.TimeoutExpired:
        return "did not end within a minute"
    return f"ended with {done.returncode}:\n{done.stdout}" if done.returncode else None


def ask(address, request):
    method, path, wanted, *fields = request
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        headers = dict(zip((name.rstrip(":") for name in fields[0::2]), fields[1::2]))
        connection.request(method, path, body="body" if method in ("POST", "PUT", "PATCH") else None, headers=headers)
        status = connection.getresponse().status
        return None if status == int(wanted) else f"{method} {path} was answered {status}, not {wanted}"
    except (OSError, http.client.HTTPException) as error:
        return f"{method} {path}: {error!r}"
    finally:
        connection.close()


def run_fragments(binary, fragments):
    requests = {snippet.number: snippet.requests for snippet in fragments}
    faults = []
    process = subprocess.Popen([str(binary)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               text=True)
    try:
        for line in process.stderr:
            if line == "ready\n":
                break
            found = re.fullmatch(r"serving (\d+) (\S+)\n", line)
            if found:
                number = int(found.group(1))
                answers = (ask(found.group(2), request) for request in requests[number])
                faults += [f"block {number}: {answer}" for answer in answers if answer]
        process.communicate("\n", timeout=20)
        if process.returncode != 0:
            faults.append(f"the program of all fragments ended with {process.returncode}")
    except subprocess.TimeoutExpired:
        faults.append("the program of all fragments did not end")
    finally:
        process.kill()
        process.wait()
    return faults


def check_fragments(args, page, fragments, scratch):
    if not fragments:
        return []
    code = PRELUDE
    for snippet in fragments:
        code += (f"static void snippet_{snippet.number}([[maybe_unused]] Router& app, "
                 "[[maybe_unused]] Database& database, [[maybe_unused]] Renderer& renderer, "
                 f"[[maybe_unused]] Upstream& upstream) {{\n#line {snippet.line} \"{page}\"\n{snippet.body}}}\n")
    rows = (f"{{{s.number}, {'true' if s.serves else 'false'}, snippet_{s.number}}}" for s in fragments)
    binary, fault = compile_program(args, "fragments", code + MAIN % ", ".join(rows), scratch)
    return [fault] if fault else run_fragments(binary, fragments)


def check(args, page, text):
    """The number of blocks, and what is wrong with them."""
    faults, fragments, count = [], [], 0
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        for snippet in snippets(text):
            count += 1
            fault = snippet.fault()
            if not fault and not snippet.program:
                fragments.append(snippet)
            elif not fault:
                code = re.sub(r'"((?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|localhost)):\d+"', r'"\1:0"', snippet.body)
                binary, fault = compile_program(args, f"program_{snippet.number}", code, scratch)
                if not fault and snippet.marker == "run":
                    fault = run_program(binary)
                elif not fault and snippet.marker == "end":
                    fault = run_to_the_end(binary)
            if fault:
                faults.append(f"{page}:{snippet.line}: {fault}")
        faults += [f"{page}: {fault}" for fault in check_fragments(args, page, fragments, scratch)]
    return count, faults


def self_test(args):
    wrong = {
        "wrong program": "```cpp\nint main() { return typing_error; }\n```\n",
        "program that ends at once": "<!-- snippet: run -->\n```cpp\nint main() { return 3; }\n```\n",
        "fragment without a comment": "```cpp\napp.use(nothing);\n```\n",
        "program that ends with a fault": "<!-- snippet: end -->\n```cpp\nint main() { return 3; }\n```\n",
        "wrong fragment": "<!-- snippet: body -->\n```cpp\napp.use(nothing);\n```\n",
        "other status": "<!-- snippet: routes | GET /a 200 -->\n```cpp\n"
                        "app.get(\"/b\", [](const Request&) { return text(\"b\"); });\n```\n",
        "fragment that throws": "<!-- snippet: body -->\n```cpp\napp.get(\"b\", [](const Request&) { return text(\"b\"); });\n```\n",
    }
    for name, text in wrong.items():
        if not check(args, "page", text)[1]:
            sys.exit(f"self-test: {name}: passed")
    fine = ("<!-- snippet: run -->\n```cpp\n#include <unistd.h>\nint main() { pause(); }\n```\n"
            "<!-- snippet: routes | GET /a 200 | GET /b 404 -->\n```cpp\n"
            "app.get(\"/a\", [](const Request&) { return text(\"a\"); });\n```\n")
    count, faults = check(args, "page", fine)
    if faults or count != 2:
        sys.exit(f"self-test: proper snippets: {count} blocks, {faults}")
    print(f"self-test: all {len(wrong)} wrong snippets were found")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--link", nargs="*", default=[], metavar="NAME", help="libraries that the library needs")
    parser.add_argument("--bench", type=pathlib.Path, nargs="*", default=[], help="libraries of sluice::bench")
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test(args)
    if not (args.root / "README.md").is_file():
        sys.exit("README.md is missing")
    count, faults = 0, []
    for page in PAGES:
        if (args.root / page).is_file():
            blocks, wrong = check(args, page, (args.root / page).read_text(encoding="utf-8"))
            count, faults = count + blocks, faults + wrong
    if faults:
        sys.exit("\n".join(faults))
    print(f"{count} blocks of C++ in the README.md files compile and do what they say")


if __name__ == "__main__":
    main()
