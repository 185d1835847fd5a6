#!/usr/bin/env python3
"""The README's figures are those of bench/kernel/README.md, where their conditions are: the same medians, command and
commit."""
import argparse
import pathlib
import re
import sys

NAMES = {"sluice, epoll": "sluice epoll", "sluice, io_uring": "sluice io_uring", "libh2o": "h2o", "Boost.Beast": "beast"}
COLUMNS = ("depth-1", "depth-16", "browser", "post", "big", "new-connection", "idle, bytes")  # of the README, in its order


def rows(text, heading):
    """{first cell: the other cells} of the table whose first line begins so; and that line's cells."""
    lines = text[text.index(heading):].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in lines[:next(i for i, line in enumerate(lines) if not line.startswith("|"))]]
    return {row[0]: row[1:] for row in cells[2:]}, cells[0][1:]


def faults(readme, measured):
    table, columns = rows(measured, "| server | depth-1 |")
    places = [columns.index(name) for name in COLUMNS]
    result = []
    for name, shown in rows(readme, "| server | `GET`, 40 bytes |")[0].items():
        row = table[NAMES.get(name, name)]
        medians = [re.sub(r"\s*[(\[].*", "", row[place]) for place in places]
        result += [f"README: {name} has {ours}, bench/kernel/README.md has {theirs}"
                   for ours, theirs in zip(shown, medians, strict=True) if ours != theirs]
    for what, pattern in (("command", r"\* command: (`.*`)"), ("commit", r"\* commit: (\w+)")):
        said = re.search(pattern, measured).group(1)
        if said not in readme:
            result.append(f"README: the figures' {what} is {said}")
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    readme = (args.root / "README.md").read_text(encoding="utf-8")
    measured = (args.root / "bench/kernel/README.md").read_text(encoding="utf-8")
    if args.self_test:
        wrong = re.sub(r"(\| libh2o \| )[\d.]+", r"\g<1>0.50", readme)
        if len(faults(wrong, measured)) != 1 or not faults(readme, re.sub(r"\* commit: ", "* commit: 0", measured)):
            sys.exit("self-test: a wrong figure or commit passed")
        print("self-test: the wrong figure and the wrong commit were found")
        return
    found = faults(readme, measured)
    if found:
        sys.exit("\n".join(found))
    print("the README's figures are the measured ones")


if __name__ == "__main__":
    main()
