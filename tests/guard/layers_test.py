#!/usr/bin/env python3
"""Who may include whom: reads every #include under include/, src/, bench/load and bench/sim and names each wrong arrow.

    include/sluice   the standard library and <sluice/...>; extra/ is used by nobody but extra/ itself
    src/base         base
    src/net, src/http, src/admission   base and themselves, never each other; http and admission make no system calls
    src/server       everything but extra
    src/extra        everything
    third party      each library's header in the one file that owns it
    bench/load       plan, judge and output compute: base and what is before them; client adds net and http; tool is
                     where files are read, processes looked at and simdjson and CLI11 used
    bench/sim        core (hosts, time) and model (a service) simulate admission; tool reads and writes, with the help of
                     bench/load's
"""
import argparse
import pathlib
import re
import sys
import tempfile

BELOW = {
    "base": {"base"},
    "net": {"base", "net"},
    "http": {"base", "http"},
    "admission": {"base", "admission"},
    "server": {"base", "net", "http", "admission", "server"},
    "extra": {"base", "net", "http", "admission", "server", "extra"},
}

# Of bench/load and bench/sim: the rooms that each may use, and the layers of src/ beside base.
ROOMS_BELOW = {
    "load/plan": {"load/plan"},
    "load/judge": {"load/plan", "load/judge"},
    "load/output": {"load/plan", "load/judge", "load/output"},
    "load/client": {"load/plan", "load/judge", "load/client"},
    "load/tool": {"load/plan", "load/judge", "load/output", "load/client", "load/tool"},
    "load": set(),
    "sim/core": {"load/plan", "sim/core"},
    "sim/model": {"sim/core", "sim/model"},
    "sim/tool": {"load/plan", "load/output", "load/tool", "sim/core", "sim/model", "sim/tool"},
}
ROOM_LAYERS = {
    "load/client": {"base", "net", "http"},
    "sim/core": {"base", "admission"},
    "sim/model": {"base", "admission"},
}

# Header -> the files that may include it. A library that is not here is not known to the project.
OWNERS = {
    r"llhttp(/.*)?\.[ch]": r"src/http/(parser\.cpp|llhttp_unit\.c)",
    r"liburing(/.*)?\.h": r"src/net/uring_ring\.cpp",
    r"simdjson\.h": r"(src|include/sluice)/extra/json\.(hpp|cpp)|bench/load/tool/[a-z_]+\.cpp|bench/sim/tool/tree\.cpp",
    r"CLI/.*": r"bench/load/tool/cli\.cpp",
    r"fmt/.*": r"src/extra/[a-z_]+\.cpp",
    r"openssl/.*": r"src/extra/tls\.cpp",
    r"zlib\.h": r"src/extra/gzip\.cpp",
    r"brotli/.*": r"src/extra/brotli\.cpp",
    r"zstd(_errors)?\.h": r"src/extra/zstd\.cpp",
}

STANDARD = set("""
algorithm any array atomic barrier bit bitset charconv chrono codecvt compare complex concepts condition_variable
coroutine deque exception execution expected filesystem format forward_list fstream functional future generator
initializer_list iomanip ios iosfwd iostream istream iterator latch limits list locale map memory memory_resource mutex
new numbers numeric optional ostream print queue random ranges ratio regex scoped_allocator semaphore set shared_mutex
source_location span spanstream sstream stack stacktrace stdexcept stdfloat stop_token streambuf string string_view
strstream syncstream system_error thread tuple type_traits typeindex typeinfo unordered_map unordered_set utility
valarray variant vector version
cassert cctype cerrno cfenv cfloat cinttypes climits clocale cmath csetjmp csignal cstdarg cstddef cstdint cstdio
cstdlib cstring ctime cuchar cwchar cwctype stddef.h stdint.h
""".split())

# The kernel's and the C library's own headers, and the processor's.
SYSTEM = re.compile(r"(sys|linux|netinet|net|arpa|asm|bits|sanitizer)/[a-z0-9_/-]+\.h|"
                    r"(unistd|fcntl|errno|spawn|signal|poll|pthread|sched|netdb|dirent|grp|pwd|limits|stdio|stdlib|string|"
                    r"time|pty|termios|dlfcn|link|malloc|ucontext|cxxabi|ifaddrs)\.h|cxxabi\.h|"
                    r"[a-z0-9]*(mmintrin|x86intrin|cpuid|arm_neon|arm_acle)\.h")
# What the two layers without system calls may still take from there: what only computes (arpa/inet.h has inet_pton).
PURE = re.compile(r"(arpa/inet|pthread|sched|cxxabi|sanitizer/\w+)\.h|[a-z0-9]*(mmintrin|x86intrin|arm_neon)\.h")

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        found = INCLUDE.match(line)
        if found:
            yield number, found.group(1), found.group(2)


def fault(root, relative, mark, name):
    """Why this include is wrong, or None."""
    top, *rest = relative.parts
    public = top == "include"
    extra = (rest[1] if public else rest[0]) == "extra" if len(rest) > 1 else False

    if name.startswith("sluice/"):
        if mark != "<":
            return "public headers are included with angle brackets"
        if not (root / "include" / name).is_file():
            return "there is no such public header"
        if name.startswith("sluice/extra/") and not extra:
            return "extra is used by nobody below it"
        return None
    for header, owner in OWNERS.items():
        if re.fullmatch(header, name):
            return None if re.fullmatch(owner, relative.as_posix()) else f"its one place is {owner}"
    if mark == "<":
        if name in STANDARD:
            return None
        if public:
            return "public headers include the standard library and <sluice/...> only"
        if not SYSTEM.fullmatch(name):
            return "not known; a new library gets a line in OWNERS, with the one file that includes it"
        if rest[0] in ("http", "admission") and not PURE.fullmatch(name):
            return f"{rest[0]} makes no system calls"
        return None
    if public:
        return "public headers include no internal one"
    layer = name.split("/")[0]
    if layer not in BELOW:
        return 'internal headers are included from src/, as "layer/file.hpp"'
    if not (root / "src" / name).is_file():
        return "there is no such file under src/"
    if layer not in BELOW[rest[0]]:
        return f"{rest[0]} must not include {layer}"
    return None


def room_of(parts):
    """"load/plan" of bench/load/plan/x.cpp, "load" of bench/load/x.cpp."""
    return "/".join(parts[1:-1])


def room_fault(root, relative, mark, name):
    """As fault(), for a file of bench/load or bench/sim."""
    room = room_of(relative.parts)
    for header, owner in OWNERS.items():
        if re.fullmatch(header, name):
            return None if re.fullmatch(owner, relative.as_posix()) else f"its one place is {owner}"
    if mark == "<":
        if name in STANDARD or name.startswith("sluice/") or SYSTEM.fullmatch(name):
            return None
        return "not known; a new library gets a line in OWNERS, with the one file that includes it"
    if name.split("/")[0] in ("load", "sim"):
        if not (root / "bench" / name).is_file():
            return "there is no such file under bench/"
        if name.count("/") == 2 and name.rpartition("/")[0] not in ROOMS_BELOW[room]:
            return f"{room} must not include {name.rpartition('/')[0]}"
        return None
    if name.split("/")[0] not in ROOM_LAYERS.get(room, {"base"}):
        return f"{room} must not include {name.split('/')[0]}"
    return None


def check_rooms(root):
    faults = []
    files = sorted(p for top in ("load", "sim") for p in (root / "bench" / top).rglob("*")
                   if p.suffix in (".hpp", ".cpp", ".h"))
    for path in files:
        relative = path.relative_to(root)
        if room_of(relative.parts) not in ROOMS_BELOW:
            faults.append(f"{relative}: not in a known room ({', '.join(ROOMS_BELOW)})")
            continue
        for number, mark, name in includes(path):
            why = room_fault(root, relative, mark, name)
            if why:
                faults.append(f"{relative}:{number}: {name}: {why}")
    return len(files), faults


def check(root):
    faults = []
    files = sorted(p for top in ("include", "src") for p in (root / top).rglob("*")
                   if p.suffix in (".hpp", ".cpp", ".h", ".c"))
    for path in files:
        relative = path.relative_to(root)
        if relative.parts[0] == "src" and (len(relative.parts) < 3 or relative.parts[1] not in BELOW):
            faults.append(f"{relative}: not in a known layer ({', '.join(BELOW)})")
            continue
        for number, mark, name in includes(path):
            why = fault(root, relative, mark, name)
            if why:
                faults.append(f"{relative}:{number}: {name}: {why}")
    room_count, room_faults = check_rooms(root)
    return len(files) + room_count, faults + room_faults


PLANTED = [
    ("include/sluice/a.hpp", "#include <unistd.h>"),
    ("include/sluice/a.hpp", "#include <llhttp.h>"),
    ("include/sluice/a.hpp", '#include "base/b.hpp"'),
    ("include/sluice/a.hpp", "#include <sluice/extra/x.hpp>"),
    ("include/sluice/extra/y.hpp", "#include <fmt/format.h>"),
    ("src/base/b.cpp", '#include "net/n.hpp"'),
    ("src/net/n.cpp", '#include "http/h.hpp"'),
    ("src/http/h.cpp", '#include "admission/a.hpp"'),
    ("src/http/h.cpp", "#include <sys/socket.h>"),
    ("src/http/h.cpp", "#include <llhttp.h>"),
    ("src/http/h.c", "#include <llhttp.c>"),
    ("src/admission/a.cpp", '#include "net/n.hpp"'),
    ("src/admission/a.cpp", "#include <unistd.h>"),
    ("src/server/s.cpp", '#include "extra/x.hpp"'),
    ("src/server/s.cpp", "#include <sluice/extra/x.hpp>"),
    ("src/server/s.cpp", "#include <liburing.h>"),
    ("src/server/s.cpp", "#include <boost/asio.hpp>"),
    ("src/extra/coding.cpp", "#include <zlib.h>"),
    ("src/extra/gzip.cpp", "#include <brotli/decode.h>"),
    ("src/server/s.cpp", '#include "s.hpp"'),
    ("src/server/s.cpp", '#include "base/absent.hpp"'),
    ("src/other/o.cpp", "#include <vector>"),
    ("bench/load/plan/p.cpp", '#include "load/client/c.hpp"'),
    ("bench/load/plan/p.cpp", '#include "net/n.hpp"'),
    ("bench/load/judge/j.cpp", '#include "load/output/o.hpp"'),
    ("bench/load/client/c.cpp", '#include "admission/a.hpp"'),
    ("bench/load/client/c.cpp", "#include <simdjson.h>"),
    ("bench/load/tool/main.cpp", "#include <CLI/CLI.hpp>"),
    ("bench/load/tool/main.cpp", '#include "load/tool/absent.hpp"'),
    ("bench/load/other/o.cpp", "#include <vector>"),
    ("bench/load/plan/p.cpp", '#include "sim/core/c.hpp"'),
    ("bench/sim/core/c.cpp", '#include "sim/model/m.hpp"'),
    ("bench/sim/core/c.cpp", '#include "net/n.hpp"'),
    ("bench/sim/model/m.cpp", '#include "load/tool/absent.hpp"'),
    ("bench/sim/tool/t.cpp", "#include <simdjson.h>"),
    ("bench/sim/loose.cpp", "#include <vector>"),
]
FINE = [
    ("include/sluice/a.hpp", "#include <vector>\n#include <sluice/b.hpp>"),
    ("include/sluice/b.hpp", ""),
    ("include/sluice/extra/x.hpp", "#include <sluice/a.hpp>"),
    ("src/base/b.hpp", "#include <unistd.h>"),
    ("src/net/n.hpp", '#include <sys/epoll.h>\n#include "base/b.hpp"'),
    ("src/http/h.hpp", '#include <sluice/a.hpp>\n#include "base/b.hpp"'),
    ("src/http/parser.cpp", "#include <llhttp.h>"),
    ("src/http/llhttp_unit.c", "#include <llhttp.c>"),
    ("src/admission/a.hpp", "#include <mutex>"),
    ("src/server/s.hpp", '#include "net/n.hpp"\n#include "http/h.hpp"\n#include "admission/a.hpp"'),
    ("src/extra/x.hpp", '#include <sluice/extra/x.hpp>\n#include "server/s.hpp"'),
    ("bench/load/plan/p.hpp", '#include <sluice/a.hpp>\n#include "base/b.hpp"'),
    ("bench/load/judge/j.hpp", '#include "load/plan/p.hpp"'),
    ("bench/load/client/c.hpp", '#include <sys/epoll.h>\n#include "load/judge/j.hpp"\n#include "net/n.hpp"'),
    ("bench/load/output/o.hpp", '#include "load/plan/p.hpp"'),
    ("bench/load/tool/cli.cpp", '#include <CLI/CLI.hpp>\n#include "load/output/o.hpp"'),
    ("bench/load/tool/read.cpp", "#include <simdjson.h>"),
    ("bench/sim/core/c.hpp", '#include "admission/a.hpp"\n#include "load/plan/p.hpp"'),
    ("bench/sim/model/m.hpp", '#include "sim/core/c.hpp"'),
    ("bench/sim/tool/tree.cpp", '#include <simdjson.h>\n#include "sim/model/m.hpp"\n#include "load/output/o.hpp"'),
]


def write(root, files):
    for name, text in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


def self_test():
    for planted in [None, *PLANTED]:
        with tempfile.TemporaryDirectory() as scratch:
            root = pathlib.Path(scratch)
            write(root, FINE + ([planted] if planted else []))
            _, faults = check(root)
            if bool(faults) != bool(planted):
                sys.exit(f"self-test: {planted or 'a tree without faults'}: found {faults or 'nothing'}")
    print(f"self-test: all {len(PLANTED)} planted arrows were found")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[2])
    parser.add_argument("--self-test", action="store_true")
    args = parser.parse_args()
    if args.self_test:
        return self_test()
    count, faults = check(args.root)
    if not count:
        sys.exit(f"no source found under {args.root}")
    if faults:
        sys.exit("\n".join(faults))
    print(f"{count} files, every include points the right way")


if __name__ == "__main__":
    main()
