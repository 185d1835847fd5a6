#!/usr/bin/env python3
"""Misuse that the compiler must refuse: every must_not_compile/*.cpp compiles without MISUSE and fails with it.

A file may hold several misuses, as MISUSE == 1, MISUSE == 2 ...; each must fail by itself. A comment
`// expect: TEXT` (`// expect 2: TEXT`) names what the compiler's messages must contain, so that a typing error does not
pass for a refusal.
"""
import argparse
import pathlib
import re
import sys
import tempfile

from compiler import syntax


def judge(compiler, root, source):
    """A sentence for each fault of this file."""
    text = source.read_text()
    cases = sorted({int(n) for n in re.findall(r"\bMISUSE\s*==\s*(\d+)", text)}) or [1]
    expected = {int(n or 1): t.strip() for n, t in re.findall(r"// expect ?(\d*): (.+)", text)}
    if "MISUSE" not in text:
        return [f"{source.name}: no misuse in it"]
    passed, messages = syntax(compiler, root, source)
    if not passed:
        return [f"{source.name}: does not compile without misuse:\n{messages}"]
    faults = []
    for case in cases:
        passed, messages = syntax(compiler, root, source, f"-DMISUSE={case}")
        if passed:
            faults.append(f"{source.name}: misuse {case} compiles")
        elif case in expected and not re.search(expected[case], messages):
            faults.append(f"{source.name}: misuse {case} fails for another reason than '{expected[case]}':\n{messages}")
    return faults


def self_test(compiler, root):
    wrong = {
        "misuse that compiles": "#ifdef MISUSE\nint twice;\n#endif\n",
        "code that never compiles": "#ifdef MISUSE\n#error no\n#endif\nint x = y;\n",
        "second misuse compiles": "#if defined(MISUSE) && MISUSE == 1\n#error no\n#elif defined(MISUSE) && MISUSE == 2\n#endif\n",
        "another reason": "// expect: deleted\n#ifdef MISUSE\nint x = typing_error;\n#endif\n",
    }
    with tempfile.TemporaryDirectory() as scratch:
        source = pathlib.Path(scratch) / "case.cpp"
        for name, text in wrong.items():
            source.write_text(text)
            if not judge(compiler, root, source):
                sys.exit(f"self-test: {name}: passed")
        source.write_text("// expect: deleted\nstruct S { S() = default; S(const S&) = delete; };\nS a;\n"
                          "#ifdef MISUSE\nS b = a;\n#endif\n")
        if judge(compiler, root, source):
            sys.exit("self-test: a proper case was refused")
    print(f"self-test: all {len(wrong)} useless cases were refused")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test(args.compiler, args.root)
    sources = sorted((args.root / "tests/guard/must_not_compile").glob("*.cpp"))
    faults = [fault for source in sources for fault in judge(args.compiler, args.root, source)]
    if faults or not sources:
        sys.exit("\n".join(faults) or "no case found")
    print(f"{len(sources)} files, every misuse refused")


if __name__ == "__main__":
    main()
