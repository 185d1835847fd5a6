"""The page that run.py writes: what it was measured with, a row for each server, and the figures behind them."""
import dataclasses
import statistics

from workloads import IDLE, WORKLOADS


@dataclasses.dataclass
class Found:
    """For each workload and server its `runs` and its system `calls` per request; `idle`: bytes per connection; `lacks`:
    for each server, why it was not asked something."""
    runs: dict
    calls: dict
    idle: dict
    lacks: dict
    idle_count: int


def spread(values, digits):
    text = f"{statistics.median(values):,.{digits}f}"
    return text if len(values) == 1 else f"{text} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def ratios(of_server, name, base):
    """To the base of the same round."""
    return [run["cpu_us"] / other["cpu_us"] for run, other in zip(of_server[name], of_server[base])]


def table(head, right, rows):
    rules = ["---:" if column in right else "---" for column in range(len(head))]
    return "\n".join("| " + " | ".join(line) + " |" for line in [head, rules, *rows])


def overview(found, base):
    """A row for each server. What one was not asked is a dash, and the reason stands below."""
    reasons = []

    def cell(name, key):
        why = found.lacks[name].get(key)
        if why is not None:
            if why not in reasons:
                reasons.append(why)
            return f"- [{reasons.index(why) + 1}]"
        if key == IDLE:
            return spread(found.idle[name], 0)
        to_base = ratios(found.runs[key], name, base)
        return f"{statistics.median(to_base):.2f} ({min(to_base):.2f})"

    keys = [*found.runs, *([IDLE] if found.idle else [])]
    rows = [[name, *(cell(name, key) for key in keys)] for name in found.lacks]
    head = ["server", *("idle, bytes" if key == IDLE else key for key in keys)]
    notes = "\n".join(f"* [{number}] {why}" for number, why in enumerate(reasons, 1))
    title = f"Processor time per request, as a ratio to {base}: median, and in parentheses the minimum."
    return "\n\n".join(part for part in (title, table(head, range(1, len(head)), rows), notes) if part)


def rows_of(text, of_server, calls, base):
    for name, runs in of_server.items():
        to_base = ratios(of_server, name, base)
        counted = calls.get(name)
        yield [text, name, spread([run["cpu_us"] for run in runs], 2), f"{statistics.median(to_base):.2f}",
               f"{min(to_base):.2f}", "not measured" if counted is None else f"{counted:.2f}",
               f"{statistics.median(run['switches'] for run in runs):.3f}",
               f"{statistics.median(run['rps'] for run in runs):,.0f}",
               f"{statistics.median(run['core'] for run in runs) * 100:.0f} %"]


def page(conditions, found, base):
    """`base`: the server that all are compared with."""
    parts = ["\n".join(f"* {name}: {value}" for name, value in conditions), overview(found, base)]
    if found.runs:
        head = ["request", "server", "CPU us", "ratio, median", "minimum", "system calls", "context switches",
                "requests/s", "of its core"]
        rows = [row for key, of_server in found.runs.items()
                for row in rows_of(WORKLOADS[key].text, of_server, found.calls[key], base)]
        parts.append(table(head, range(2, 9), rows))
    if found.idle:
        parts.append(table(["server", f"resident bytes per idle connection, of {found.idle_count:,}"], [1],
                           [[name, spread(bytes_each, 0)] for name, bytes_each in found.idle.items()]))
    return "\n\n".join(parts)
