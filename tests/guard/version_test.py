#!/usr/bin/env python3
"""include/sluice/version.hpp and the changelog say the same version as project() in CMakeLists.txt."""
import argparse
import pathlib
import re
import sys


def faults(header, changelog, version):
    wanted = dict(zip(("MAJOR", "MINOR", "PATCH"), version.split(".")))
    wanted = {f"SLUICE_VERSION_{part}": number for part, number in wanted.items()}
    wanted["SLUICE_VERSION"] = f'"{version}"'
    found = dict(re.findall(r"^#define (SLUICE_VERSION\w*) (\S+)$", header, re.MULTILINE))
    result = [f"version.hpp: {name} is {found.get(name)}, project() says {value}"
              for name, value in wanted.items() if found.get(name) != value]
    if not re.search(rf"^## \[?({re.escape(version)}|Unreleased)\b", changelog, re.MULTILINE):
        result.append(f"CHANGELOG.md has no section for {version}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--version", required=True)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    header = (args.root / "include/sluice/version.hpp").read_text()
    changelog = (args.root / ".github/CHANGELOG.md").read_text()
    if args.self_test:
        if not faults(header, changelog, "99.88.77") or not faults(header, "", args.version):
            sys.exit("self-test: a wrong version passed")
        print("self-test: both wrong versions were found")
        return
    found = faults(header, changelog, args.version)
    if found:
        sys.exit("\n".join(found))
    print(f"version {args.version} everywhere")


if __name__ == "__main__":
    main()
