"""For long: memory, descriptors, threads and permits under a load that is aborted and fails in part."""
import json
import time

from lab import CAPACITY, CONNECTIONS, Failure, Watch, at_most, clients, equals, goodput_check

SLOPE_MAX_MIB_PER_HOUR = 1.0
REST_SECONDS = 15  # until what was asked at last is over


def soak(lab):
    """70 % of the capacity; a tenth is aborted, a twentieth fails."""
    minutes = lab.options.minutes
    seconds = lab.scale.of(minutes * 60, 30, 1.5)
    rate = 0.7 * CAPACITY
    with lab.start("overload") as server:
        server.counters()  # our own connection counts as well
        start = server.process()
        floor = lab.floor(server, "soak", "/work", CAPACITY)
        groups = [clients("/work", rate * 0.85, "staying"),
                  clients("/work", rate * 0.10, "leaving", CONNECTIONS // 4, give_up_after="10ms"),
                  clients("/failing", rate * 0.05, "failing", CONNECTIONS // 4)]
        with Watch(server, 1.0 if lab.scale.name != "smoke" else 0.1) as watch:
            result = lab.load(server, "soak", groups, seconds)
        if watch.problem or len(watch.samples) < 3:
            raise Failure(f"the server could not be watched: {watch.problem or 'too few samples'}")
        with (lab.out / "soak.samples.jsonl").open("w", encoding="utf-8") as file:
            for sample in watch.samples:
                file.write(json.dumps(sample) + "\n")
        books = server.books(REST_SECONDS)
        end = settled(server, start)
        row = result.row("soak", f"{seconds / 60:g} min at 70 %", "work")
        row.floor = floor
        staying = result.group("staying")
        row.checks = [at_most("RSS slope after the first third", slope_mib_per_hour(watch.samples),
                              SLOPE_MAX_MIB_PER_HOUR, " MiB/h"),
                      equals("descriptors at the end, as at the start", end["fds"], start["fds"]),
                      equals("threads at the end, as at the start", end["threads"], start["threads"]),
                      books,
                      goodput_check("2xx of what stayed and was to succeed",
                                    staying["classes"]["2xx"]["count"] / max(1, staying["planned"]))]
        row.notes = [f"RSS {start['rss_bytes'] / 2**20:.1f} MiB at the start, then {end['rss_bytes'] / 2**20:.1f} MiB",
                     f"{len(watch.samples):,} samples in soak.samples.jsonl",
                     f"aborted {result.group('leaving')['classes']['gave_up']['count']:,}, "
                     f"failed {result.group('failing')['classes']['other']['count']:,}"]
    yield row


def settled(server, start, seconds=5):
    """The process when it has as many descriptors as at the start, or at last: ends of connections take a moment."""
    end = time.monotonic() + seconds
    while True:
        now = server.process()
        if now["fds"] == start["fds"] or time.monotonic() > end:
            return now
        time.sleep(0.1)


def slope_mib_per_hour(samples):
    """Of a straight line through the samples behind the first third, by least squares."""
    kept = samples[len(samples) // 3:]
    mean_s = sum(sample["at_s"] for sample in kept) / len(kept)
    mean_bytes = sum(sample["rss_bytes"] for sample in kept) / len(kept)
    covariance = sum((sample["at_s"] - mean_s) * (sample["rss_bytes"] - mean_bytes) for sample in kept)
    variance = sum((sample["at_s"] - mean_s) ** 2 for sample in kept)
    return round(covariance / variance * 3600 / 2**20, 2) if variance else 0.0
