#!/usr/bin/env python3
"""sluice as its users get it: built, installed, moved to another place, found by CMake and by pkg-config, run.

    static, shared   the installed package; the prefix is moved before it is used. The static one with sluice::bench
    subdirectory     add_subdirectory
    fetch            FetchContent
    llhttp           which llhttp cmake/Findllhttp.cmake takes, and which it refuses
"""
import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys

INTERNAL = re.compile(r"\bsluice::(base|net|http|admission|server|extra)::")


def call(*command, fails=False, **env):
    done = subprocess.run([str(c) for c in command], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env={**os.environ, **env})
    if (done.returncode != 0) != fails:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}\nexit code {done.returncode}")
    return done.stdout


def configure(args, source, build, *options, **how):
    return call(args.cmake, "-S", source, "-B", build, "-G", args.generator, f"-DCMAKE_CXX_COMPILER={args.compiler}",
                f"-DCMAKE_CXX_COMPILER_LAUNCHER={args.launcher}", "-DCMAKE_BUILD_TYPE=Debug", "-DCMAKE_CXX_FLAGS_DEBUG=-O0",
                *options, **how)


def run(binary, **env):
    printed = call(binary, **env)
    if not re.search(r"^sluice \d+\.\d+\.\d+ serves /hello/\{name\} on 127\.0\.0\.1:[1-9]\d*$", printed, re.MULTILINE):
        sys.exit(f"{binary} printed:\n{printed}")


def symbols(*options):
    """(kind, demangled name) of each symbol."""
    for line in call("nm", "-C", *options).splitlines():
        found = re.match(r"[0-9a-f]+ (\w) (.+)", line)
        if found:
            yield found.groups()


def exports(root, library):
    """A shared library exports what the headers declare, and nothing else."""
    headers = "".join(path.read_text() for path in (root / "include").rglob("*.hpp"))
    # Functions that a header declares, classes that one defines.
    public = set(re.findall(r"\b([a-z_]+)\(", headers)) | set(re.findall(r"\b(?:class|struct) (\w+)[^;{}]*{", headers))
    place = re.compile(r"sluice::(?:detail::)?(?!detail::)(\w+)(?:\[abi:\w+\])?(?:\(|::)")

    exported = {name for _, name in symbols("-D", "--defined-only", library)}
    wrong = []
    for name in exported:
        found = place.match(name)
        if INTERNAL.search(name.split("(")[0]) or "sluice::" not in name or (found and found.group(1) not in public):
            wrong.append(f"{name} is exported, and no header declares it")
    for kind, name in symbols("--defined-only", library):
        found = place.match(name)
        if kind in "tT" and found and found.group(1) in public and name not in exported and not re.search(r"\[clone|{lambda", name):
            wrong.append(f"{name} is declared in a header and not exported: add it to cmake/sluice.map")
    if wrong or not any(name.startswith("sluice::Server::") for name in exported):
        sys.exit("exports of the shared library:\n" + "\n".join(sorted(set(wrong)) or ["no sluice::Server"]))


def installed(args, shared):
    build, here, moved = (args.scratch / name for name in ("build", "prefix", "moved/deeper"))
    for old in (here, moved.parent, args.scratch / "consumer"):
        shutil.rmtree(old, ignore_errors=True)
    configure(args, args.root, build, f"-DBUILD_SHARED_LIBS={'ON' if shared else 'OFF'}", "-DSLUICE_BUILD_TESTS=OFF",
              "-DSLUICE_BUILD_EXAMPLES=OFF", f"-DSLUICE_BUILD_BENCH={'OFF' if shared else 'ON'}",
              f"-DCMAKE_INSTALL_PREFIX={here}")
    what = [] if shared else ["--target", "sluice", "sluice_bench", "sluice-load"]  # not the benchmarks beside them
    call(args.cmake, "--build", build, "-j2", *what)
    call(args.cmake, "--install", build)
    moved.parent.mkdir()
    here.rename(moved)
    library = next(moved.rglob("libsluice.so" if shared else "libsluice.a"))
    if shared:
        exports(args.root, library)
    else:
        loose = {name for _, name in symbols("--defined-only", "--extern-only", library) if name.startswith("llhttp")}
        if loose:
            sys.exit(f"libsluice.a would clash with an llhttp of the program's own: {sorted(loose)}")
    for text in [*moved.rglob("*.cmake"), *moved.rglob("*.pc")]:
        if str(here) in text.read_text() or str(args.root) in text.read_text():
            sys.exit(f"{text} holds an absolute path")

    configure(args, args.root / "tests/consumer", args.scratch / "consumer", f"-DCMAKE_PREFIX_PATH={moved}")
    call(args.cmake, "--build", args.scratch / "consumer", "-j2")
    run(args.scratch / "consumer/consumer")
    if not shared:
        printed = call(args.scratch / "consumer/load_consumer")
        if not re.search(r"^50 planned, [1-9]\d* answered$", printed, re.MULTILINE):
            sys.exit(f"load_consumer printed:\n{printed}")
        if "sluice-load 0." not in call(moved / "bin/sluice-load", "--version"):
            sys.exit("the installed sluice-load does not run")

    env = {"PKG_CONFIG_PATH": str(library.parent / "pkgconfig")}
    flags = call("pkg-config", *([] if shared else ["--static"]), "--cflags", "--libs", "sluice", **env).split()
    binary = args.scratch / "by-pkg-config"
    call(args.compiler, "-std=c++23", args.root / "tests/consumer/main.cpp", *flags, "-o", binary)
    run(binary, **({"LD_LIBRARY_PATH": str(library.parent)} if shared else {}))


def embedded(args, option):
    build = args.scratch / "consumer"
    configure(args, args.root / "tests/consumer", build, f"-D{option}={args.root}")
    call(args.cmake, "--build", build, "--target", "consumer", "-j2")
    run(build / "consumer")
    # A library inside another project keeps to itself: no tests, no examples, nothing of it installed.
    targets = call(args.cmake, "--build", build, "--target", "help")
    for unwanted in ("example_hello", "unit_base", "sluice_test_support"):
        if unwanted in targets:
            sys.exit(f"the target {unwanted} turns up in the project of the user")


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def llhttp(args):
    """Findllhttp.cmake against made-up installations."""
    shutil.rmtree(args.scratch, ignore_errors=True)
    project = args.scratch / "project"
    write(project / "CMakeLists.txt", f"""cmake_minimum_required(VERSION 3.25)
project(finds LANGUAGES C)
list(PREPEND CMAKE_MODULE_PATH "{args.root}/cmake")
if(WITH_TARGET)
  add_library(llhttp_static INTERFACE)
endif()
find_package(llhttp MODULE REQUIRED)
message(STATUS "taken: target '${{LLHTTP_TARGET}}' sources '${{LLHTTP_SOURCES}}'")
""")

    def package(version):
        prefix = args.scratch / f"cmake-{version}"
        write(prefix / "lib/cmake/llhttp/llhttpConfig.cmake", "add_library(llhttp::llhttp_static INTERFACE IMPORTED)\n")
        write(prefix / "lib/cmake/llhttp/llhttpConfigVersion.cmake", f"set(PACKAGE_VERSION {version})\n")
        return prefix

    def pkg_config(version):
        prefix = args.scratch / f"pc-{version}"
        write(prefix / "libllhttp.pc", f"Name: llhttp\nDescription: -\nVersion: {version}\nLibs:\n")
        return prefix

    def sources(version):
        prefix = args.scratch / f"src-{version}"
        numbers = zip(("MAJOR", "MINOR", "PATCH"), version.split("."))
        write(prefix / "share/include/llhttp/llhttp.h", "".join(f"#define LLHTTP_VERSION_{n} {v}\n" for n, v in numbers))
        for name in ("api.c", "http.c", "llhttp.c"):
            write(prefix / "share/llhttp" / name, "")
        return prefix

    def expect(what, *options, fails=False, pc=""):
        build = args.scratch / "build"
        shutil.rmtree(build, ignore_errors=True)
        printed = call(args.cmake, "-S", project, "-B", build, "-G", args.generator, "-DCMAKE_FIND_USE_CMAKE_SYSTEM_PATH=OFF",
                       *options, fails=fails, PKG_CONFIG_LIBDIR=str(pc))
        if not re.search(what, " ".join(printed.split())):
            sys.exit(f"expected /{what}/ with {options}:\n{printed}")

    new, old = package("9.3.0"), package("8.1.0")
    new_pc, old_pc = pkg_config("9.2.1"), pkg_config("9.2.0")
    source = f"-DLLHTTP_SOURCE_ROOT={sources('8.1.0')}"
    expect("taken: target 'llhttp_static'", "-DWITH_TARGET=ON", f"-DCMAKE_PREFIX_PATH={new}", pc=new_pc)
    expect("taken: target 'llhttp::llhttp_static'", f"-DCMAKE_PREFIX_PATH={new}", source, pc=new_pc)
    expect("taken: target 'PkgConfig::LLHTTP_PC'", f"-DCMAKE_PREFIX_PATH={old}", source, pc=new_pc)
    expect(r"the sources 8\.1\.0 in .*passed over.*8\.1\.0.*9\.2\.0.*taken: target '' sources '.*/share/llhttp/api\.c;",
           f"-DCMAKE_PREFIX_PATH={old}", source, pc=old_pc)
    expect("sluice needs llhttp, and found none it can use.*pkg-config's libllhttp is 9.2.0.*lax mode.*node-llhttp",
           "-DLLHTTP_SOURCE_DIR=LLHTTP_SOURCE_DIR-NOTFOUND", f"-DCMAKE_FIND_ROOT_PATH={args.scratch}/empty",
           "-DCMAKE_FIND_ROOT_PATH_MODE_INCLUDE=ONLY", "-DCMAKE_FIND_ROOT_PATH_MODE_PATH=ONLY", fails=True,
           pc=old_pc)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=("static", "shared", "subdirectory", "fetch", "llhttp"), required=True)
    for path in ("root", "scratch"):
        parser.add_argument(f"--{path}", type=pathlib.Path, required=True)
    for text in ("cmake", "generator", "compiler", "launcher"):
        parser.add_argument(f"--{text}", required=True)
    args = parser.parse_args()
    args.scratch.mkdir(parents=True, exist_ok=True)
    if args.case == "llhttp":
        llhttp(args)
    elif args.case == "subdirectory":
        embedded(args, "SLUICE_SUBDIRECTORY")
    elif args.case == "fetch":
        embedded(args, "SLUICE_FETCH")
    else:
        installed(args, args.case == "shared")
    print(f"{args.case}: as promised")


if __name__ == "__main__":
    main()
