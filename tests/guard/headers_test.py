#!/usr/bin/env python3
"""Every header compiles by itself, first in its file: nobody has to know what to include before it."""
import argparse
import pathlib
import sys
import tempfile

from compiler import syntax


def fault(compiler, root, header, scratch):
    source = pathlib.Path(scratch) / "alone.cpp"
    source.write_text(f'#include "{header}"\n#include "{header}"\n')
    passed, messages = syntax(compiler, root, source, "-Werror")
    return None if passed else f"{header}:\n{messages}"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if args.self_test:
            header = pathlib.Path(scratch) / "needy.hpp"
            header.write_text("#pragma once\ninline std::string text;\n")
            if not fault(args.compiler, args.root, header, scratch):
                sys.exit("self-test: a header that needs another one passed")
            print("self-test: a header that needs another one was found")
            return
        # Internal headers are compiled by their own sources first; the public ones stand for themselves.
        headers = sorted((args.root / "include").rglob("*.hpp"))
        faults = [f for f in (fault(args.compiler, args.root, h, scratch) for h in headers) if f]
    if faults or not headers:
        sys.exit("\n".join(faults) or "no header found")
    print(f"{len(headers)} headers stand alone")


if __name__ == "__main__":
    main()
