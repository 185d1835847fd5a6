#!/usr/bin/env python3
"""The code blocks of README.md are compiled, linked and, where they ask for it, run.

A ```cpp block counts as a program if its first line is `// file: NAME` or if it contains `int main`; other blocks are
fragments. A program with the comment `// run` is started, must be alive after a second, and must end by itself within
ten seconds of SIGTERM; a fixed port in it is replaced by port 0.
"""
import argparse
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

BLOCK = re.compile(r"^```cpp[^\n]*\n(.*?)^```\s*$", re.MULTILINE | re.DOTALL)


def programs(text):
    for number, body in enumerate(BLOCK.findall(text), 1):
        if re.match(r"// file: \S+", body) or "int main" in body:
            yield number, body


def build(args, number, body, scratch):
    source = pathlib.Path(scratch) / f"snippet_{number}.cpp"
    source.write_text(re.sub(r'"((?:127\.0\.0\.1|0\.0\.0\.0|\[::1?\]|localhost)):\d+"', r'"\1:0"', body))
    binary = source.with_suffix("")
    has_main = "int main" in body
    define = ["-DSLUICE_SHARED"] if args.library.suffix == ".so" or ".so." in args.library.name else []
    done = subprocess.run(
        [args.compiler, "-std=c++23", "-Wall", "-Wextra", "-Werror", *define, f"-I{args.root}/include", str(source)]
        + ([str(args.library), f"-Wl,-rpath,{args.library.parent}", "-pthread", "-o", str(binary)] if has_main
           else ["-fsyntax-only"]),
        capture_output=True, text=True)
    if done.returncode:
        return None, f"block {number} does not compile:\n{done.stderr}"
    return (binary if has_main else None), None


def run(number, binary):
    process = subprocess.Popen([str(binary)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        time.sleep(1)
        if process.poll() is not None:
            return f"block {number} ended at once ({process.returncode}):\n{process.stdout.read()}"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
        # A program that asks for no signal handling dies of the signal, one that drains returns 0.
        if process.returncode not in (0, -signal.SIGTERM):
            return f"block {number} ended with {process.returncode}:\n{process.stdout.read()}"
        return None
    except subprocess.TimeoutExpired:
        return f"block {number} did not end within 10 s of SIGTERM"
    finally:
        process.kill()
        process.wait()


def check(args, text):
    faults, count = [], 0
    with tempfile.TemporaryDirectory(dir=args.scratch) as scratch:
        for number, body in programs(text):
            count += 1
            binary, fault = build(args, number, body, scratch)
            if not fault and binary and re.search(r"//\s*run\b", body):
                fault = run(number, binary)
            if fault:
                faults.append(fault)
    return count, faults


def self_test(args):
    wrong = {
        "wrong code": "int main() { return typing_error; }",
        "program that ends at once": "int main() { return 3; }  // run",
    }
    for name, code in wrong.items():
        if not check(args, f"text\n```cpp\n{code}\n```\n")[1]:
            sys.exit(f"self-test: {name}: passed")
    fine = "```cpp\nfragment only;\n```\n```cpp\n#include <unistd.h>\nint main() { pause(); }  // run\n```\n"
    count, faults = check(args, fine)
    if faults or count != 1:
        sys.exit(f"self-test: proper snippets: {count} programs, {faults}")
    print(f"self-test: all {len(wrong)} wrong snippets were found")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--library", type=pathlib.Path, required=True)
    parser.add_argument("--scratch", type=pathlib.Path, required=True)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test(args)
    readme = args.root / "README.md"
    if not readme.is_file():
        print("README.md is not there yet: nothing to check")
        return
    count, faults = check(args, readme.read_text(encoding="utf-8"))
    if faults:
        sys.exit("\n".join(faults))
    print(f"{count} programs of README.md compile and run")


if __name__ == "__main__":
    main()
