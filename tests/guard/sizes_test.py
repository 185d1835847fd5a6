#!/usr/bin/env python3
"""File sizes, the top level's entries, and paths that belong to one machine only."""
import argparse
import pathlib
import re
import sys
import tempfile

LINES_MAX = 600
SIZED = ("include", "src", "tests", "examples", "bench")
CODE = (".hpp", ".cpp", ".h", ".c", ".py", ".sh", ".js", ".css", ".html")
TOP = {"CMakeLists.txt", "include", "src", "tests", "bench", "examples", "cmake", "README.md", "LICENSE",
       "CMakePresets.json"}
LEFT_OUT = {"build", ".git", ".cache", "__pycache__"}  # made by tools, ignored by git
TEXT = CODE + (".md", ".txt", ".cmake", ".in", ".json", ".map", ".yml", "")
# Paths of one machine, and of pages that are not part of this tree. Put together here, so that this file has none.
FOREIGN = re.compile("|".join((r"(?<![\w.])/" + "work/", "/" + "home/[a-z]", "/" + "root/", "/" + "Users/",
                               r"\.\./" + "shared/", "(DESIGN|STYLE)" + r"\.md")))


def walk(root):
    for path in sorted(root.rglob("*")):
        parts = path.relative_to(root).parts
        if path.is_file() and not LEFT_OUT.intersection(parts):
            yield path


def check(root):
    faults = []
    for entry in sorted(root.iterdir()):
        if entry.name not in TOP | LEFT_OUT and not entry.name.startswith("."):
            faults.append(f"{entry.name}: not one of the top level's entries")
    count = 0
    for path in walk(root):
        relative = path.relative_to(root)
        if path.suffix not in TEXT:
            continue
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        count += 1
        if relative.parts[0] in SIZED and path.suffix in CODE and len(lines) > LINES_MAX:
            faults.append(f"{relative}: {len(lines)} lines, at most {LINES_MAX}")
        for number, line in enumerate(lines, 1):
            found = FOREIGN.search(line)
            if found:
                faults.append(f"{relative}:{number}: {found.group(0)}: nobody else has this")
    return count, faults


PLANTED = [
    ("src/base/long.cpp", "\n" * (LINES_MAX + 1)),
    ("tests/unit/base/long_test.cpp", "\n" * (LINES_MAX + 1)),
    ("docs/page.md", "text\n"),
    ("Makefile", "all:\n"),
    ("src/base/a.cpp", "// see /" + "work/main/src\n"),
    ("src/base/a.cpp", "// as DESIGN" + ".md says\n"),
    ("cmake/x.sh", "cd /" + "home/someone\n"),
]


def self_test():
    for planted in [None, *PLANTED]:
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            for name, text in [("src/base/fine.cpp", "\n" * LINES_MAX), ("README.md", "a/work/b\n"),
                               ("build/dev/log.txt", "/" + "work/main\n")] + ([planted] if planted else []):
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            _, faults = check(root)
            if bool(faults) != bool(planted):
                sys.exit(f"self-test: {planted[0] if planted else 'a tree without faults'}: found {faults or 'nothing'}")
    print(f"self-test: all {len(PLANTED)} planted faults were found")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    count, faults = check(args.root)
    if not count:
        sys.exit(f"no file found under {args.root}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{count} files in order")


if __name__ == "__main__":
    main()
