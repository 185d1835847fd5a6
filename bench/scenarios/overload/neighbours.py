"""Do others notice? bulkhead, uneven, criticality, slow_loris, slow_readers."""
from lab import (CAPACITY, PATIENCE_MS, SERVICE_MS, Failure, Watch, at_most, clients, equals,
                 goodput_check, group_p99, holds, like_alone)

LEAVES = {"give_up_after": f"{PATIENCE_MS}ms"}


def alone(lab, server, name, kind, seconds):
    """What the same clients see when nobody else is there, as a row has it, and the result."""
    result = lab.load(server, f"{name} alone", [kind], seconds)
    return {"rate": kind["rate"], "p50_us": result.quantile("2xx", 0.5), "p99_us": result.quantile("2xx", 0.99)}, result


def both_invalid(*results):
    return [reason for result in results for reason in result.invalid]


# ---- bulkhead

STALLED_PERMITS, RESERVED_PERMITS, RESERVED_MS = 12, 4, 5


def bulkhead(lab):
    yield lab.counted(lambda: bulkhead_once(lab))


def bulkhead_once(lab):
    """Route A never returns and is asked for twice what it once could do. Route B has permits of its own."""
    rate_a = 2 * STALLED_PERMITS * 1000 / SERVICE_MS
    rate_b = 0.5 * RESERVED_PERMITS * 1000 / RESERVED_MS
    seconds = lab.scale.seconds(30, 8, 0.6)
    b = clients(f"/reserved?ms={RESERVED_MS}", rate_b, "B")
    with lab.start("overload", "--workers", 16) as server:
        floor, before = alone(lab, server, "bulkhead", b, seconds)
        a = clients("/stalled", rate_a, "A", background=True)
        with Watch(server, 0.1) as watch:
            result = lab.load(server, "bulkhead", [b, a], seconds, warmup=lab.scale.of(3, 2, 0.3))
        zombies = server.lane("stalled")["zombies"]
        row = result.row("bulkhead", "A stalled at 2x, B at half of its reserve", "reserved")
        row.floor, row.invalid = floor, both_invalid(before, result)
        server.release()
        failed = result.planned - result.count("2xx")
        refused_a = result.group("A")["classes"]["503"]
        a_p99_us = group_p99(result.group("A"), "503")
        threads = {sample["threads"] for sample in watch.samples}
        row.checks = [equals("B's requests without a 2xx", failed, 0),
                      like_alone("B's p99", result.quantile("2xx", 0.99), floor["p99_us"]),
                      at_most("p99 of A's 503", None if a_p99_us is None else a_p99_us / 1000, 10, " ms"),
                      equals("zombies, A's limit", zombies, STALLED_PERMITS),
                      holds("the number of threads stays", len(threads) == 1, sorted(threads)),
                      server.books()]
        row.checks[0].exact = False  # on a busy machine B may be late
        row.notes = [f"A: {refused_a['count']:,} 503 at {result.group('A')['planned'] / seconds:,.0f}/s offered"]
    return row


# ---- uneven

POLITE = 9


def uneven(lab):
    yield lab.counted(lambda: uneven_once(lab))


def uneven_once(lab):
    """Three times the capacity, nine tenths of it from one client. Nine others ask for little."""
    total = 3 * CAPACITY
    with lab.start("overload") as server:
        floor = lab.floor(server, "uneven", "/fair", CAPACITY)
        polite = [f"polite {number}" for number in range(1, POLITE + 1)]
        groups = [clients("/fair", total * 0.9, "greedy", headers={"X-Client": "greedy"}, **LEAVES)]
        groups += [clients("/fair", total * 0.1 / POLITE, name, 32, headers={"X-Client": name}, **LEAVES)
                   for name in polite]
        result = lab.load(server, "uneven", groups, lab.scale.seconds(20))
        row = result.row("uneven", "1 client asks for 2.7x, 9 for 0.3x", "fair")
        row.floor = floor
        asked = sum(result.group(name)["planned"] for name in polite)
        got = sum(result.group(name)["classes"]["2xx"]["count"] for name in polite)
        worst = min(ratio(result.group(name)) for name in polite)
        check = goodput_check("what the polite got of what they asked", got / max(1, asked))
        check.state, check.limit = ("PASS" if got >= 0.9 * asked else "FAIL"), "at least 90 %"
        row.checks = [check, server.books()]
        greedy = result.group("greedy")
        row.notes = [f"the worst served of the nine got {worst * 100:.1f} %",
                     f"the greedy one got {ratio(greedy) * 100:.1f} %, {greedy['classes']['429']['count']:,} times 429"]
    return row


def ratio(group):
    return group["classes"]["2xx"]["count"] / max(1, group["planned"])


# ---- criticality

def criticality(lab):
    yield lab.counted(lambda: criticality_once(lab))


def criticality_once(lab):
    """Two routes share a lane at twice its capacity. Critical ones ask for half of the capacity."""
    with lab.start("overload") as server:
        floor = lab.floor(server, "criticality", "/shared/critical", CAPACITY)
        result = lab.load(server, "criticality",
                          [clients("/shared/critical", 0.5 * CAPACITY, "critical", **LEAVES),
                           clients("/shared/sheddable", 1.5 * CAPACITY, "sheddable", **LEAVES)], lab.scale.seconds(20))
        row = result.row("criticality", "critical at 0.5x, sheddable at 1.5x", "shared")
        row.floor = floor
        shed = {name: result.group(name)["classes"]["503"]["count"] for name in ("critical", "sheddable")}
        row.checks = [equals("critical requests refused", shed["critical"], 0),
                      holds("sheddable requests refused", shed["sheddable"] > 0, f"{shed['sheddable']:,}"),
                      server.books()]
        for check in row.checks[:2]:
            check.exact = False
        row.notes = [f"critical {ratio(result.group('critical')) * 100:.1f} % 2xx, "
                     f"sheddable {ratio(result.group('sheddable')) * 100:.1f} %"]
    return row


# ---- slow_loris, slow_readers

SLOW = 1000
READER_AGE_MAX_S = 16  # the write timeout, 10 s, and what the last bytes that still went through had taken


def slow_loris(lab):
    yield lab.counted(lambda: slow_loris_once(lab))


def slow_loris_once(lab):
    """A thousand clients that send a byte a second of a head without an end, again and again."""
    timeout_s = lab.scale.of(10, 3, 1)
    count = lab.scale.of(SLOW, SLOW, 100)
    seconds = lab.scale.of(2 * timeout_s + 5, 8, 2.2)
    with lab.start("overload", "--head-timeout", timeout_s * 1000) as server:
        result, floor, before, found, watch = beside_a_herd(lab, server, "slow loris", "loris", count, "/", seconds)
        row = result.row("slow_loris", f"{count:,} heads at 1 B/s", "work")
        row.floor, row.invalid = floor, both_invalid(before, result)
        oldest = max(found["age_max_s"] or 0, found["open_age_max_s"] or 0)
        row.checks = [at_most("the oldest of them", round(oldest, 2), timeout_s + 1, " s"),
                      holds("some came to their end", found["ended"] > 0, f"{found['ended']:,}"),
                      like_alone("p99 of the others", result.quantile("2xx", 0.99), floor["p99_us"]),
                      equals("others without a 2xx", result.planned - result.count("2xx"), 0), server.books()]
        row.checks[3].exact = False
        row.notes = [f"ended by {ends_of(found)}", growth_note(watch, count)]
    return row


def slow_readers(lab):
    yield lab.counted(lambda: slow_readers_once(lab))


def slow_readers_once(lab):
    """A thousand clients that ask for a mebibyte and read 100 bytes a second."""
    count = lab.scale.of(SLOW, SLOW, 50)
    seconds = lab.scale.of(40, 20, 1.5)
    with lab.start("overload") as server:
        memory_max = server.report()["memory_bytes_max"]
        rss_before = server.process()["rss_bytes"]
        result, floor, before, found, watch = beside_a_herd(lab, server, "slow readers", "readers", count,
                                                            "/mebibyte", seconds)
        row = result.row("slow_readers", f"{count:,} read 1 MiB at 100 B/s", "work")
        row.floor, row.invalid = floor, both_invalid(before, result)
        oldest = max(found["age_max_s"] or 0, found["open_age_max_s"] or 0)
        row.checks = [at_most("RSS growth", (max(watch.of("rss_bytes")) - rss_before) // 1024, memory_max // 1024,
                              " KiB", exact=True),
                      at_most("the oldest of them", round(oldest, 2), READER_AGE_MAX_S, " s"),
                      holds("some were cut off", found["ended"] > 0, f"{found['ended']:,}", exact=False),
                      like_alone("p99 of the others", result.quantile("2xx", 0.99), floor["p99_us"]),
                      equals("others without a 2xx", result.planned - result.count("2xx"), 0), server.books()]
        row.checks[4].exact = False
        row.notes = [f"ended by {ends_of(found)}", growth_note(watch, count)]
    return row


def beside_a_herd(lab, server, name, kind, count, target, seconds):
    """Healthy clients at half of the capacity, alone and then beside a herd of slow ones."""
    healthy = clients("/work", 0.5 * CAPACITY, "healthy")
    floor, before = alone(lab, server, name, healthy, lab.scale.seconds(20, 8, 0.5))
    with Watch(server, 0.25) as watch:
        herd = lab.helper("herd.py", kind, server.address, "--connections", count, "--seconds", seconds, "--target",
                          target)
        try:
            result = lab.load(server, name, [healthy], max(0.5, seconds - 1.5), warmup=lab.scale.of(1, 1, 0.2), grace=1)
        except BaseException:
            herd.kill()
            herd.communicate()
            raise
        found = lab.finish(herd, seconds + 30)
    if watch.problem or not watch.samples:
        raise Failure(f"the server could not be watched: {watch.problem or 'no sample'}")
    return result, floor, before, found, watch


def ends_of(found):
    return ", ".join(f"{how} {times:,}" for how, times in sorted(found["ends"].items())) or "nobody"


def growth_note(watch, count):
    grown = max(watch.of("rss_bytes")) - watch.samples[0]["rss_bytes"]
    return f"RSS grew by {grown / 1024:,.0f} KiB, {grown / 1024 / count:.1f} per slow client"
