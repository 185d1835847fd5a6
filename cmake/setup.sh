#!/usr/bin/env bash
# Installs the Debian packages that building and testing sluice needs and this machine lacks. Asks the network for
# nothing when nothing is missing. Runs as root, or as a user with sudo.
#
#   cmake/setup.sh        for building, testing and the demo
#   cmake/setup.sh ci     also the formatter, the linter, the compiler cache and a browser, if the archive has them
#   cmake/setup.sh fuzz   also Clang 19 with its runtime, for the preset "fuzz"
#   cmake/setup.sh peers  also what bench/peers compares with: other libraries, and nginx
set -euo pipefail

# tool:package, taken as there if the command is, whoever installed it
tools=(g++:g++ cmake:cmake ninja:ninja-build pkg-config:pkg-config curl:curl wrk:wrk python3:python3 node:nodejs
  valgrind:valgrind)
# packages without a command
libraries=(node-llhttp zlib1g-dev liburing-dev libfmt-dev libsimdjson-dev libsqlite3-dev libcli11-dev libgtest-dev
  libgmock-dev libbenchmark-dev libbrotli-dev libzstd-dev)
optional=()
if [ "${1:-}" = ci ]; then
  optional=(clang-format-19:clang-format-19 clang-tidy-19:clang-tidy-19 ccache:ccache chromium:chromium
    chromedriver:chromium-driver)
elif [ "${1:-}" = fuzz ]; then
  libraries+=(clang-19 libclang-rt-19-dev)
elif [ "${1:-}" = peers ]; then
  tools+=(/usr/sbin/nginx:nginx-light)  # its package starts a server on port 80 where the machine starts services
  libraries+=(libcpp-httplib-dev libboost-dev libh2o-evloop-dev libevent-dev)
elif [ $# -gt 0 ]; then
  echo "usage: $0 [ci|fuzz|peers]" >&2
  exit 2
fi

if ! command -v dpkg-query > /dev/null || ! command -v apt-get > /dev/null; then
  echo "This is not a Debian system, so nothing was installed. sluice needs a C++23 compiler (GCC 12, Clang 19 or" \
    "newer), CMake 3.25, Ninja, pkg-config and llhttp (9.2.1 or newer, or its sources); its examples and tests also" \
    "need zlib, simdjson, SQLite 3, CLI11, GoogleTest with GoogleMock, Google Benchmark, liburing, fmt, curl, wrk," \
    "python3, node and valgrind." >&2
  exit 0
fi

installed() { dpkg-query -W -f '${db:Status-Status}\n' "$1" 2> /dev/null | grep -qx installed; }

missing=()
for tool in "${tools[@]}"; do
  command -v "${tool%%:*}" > /dev/null || missing+=("${tool#*:}")
done
for library in "${libraries[@]}"; do
  installed "$library" || missing+=("$library")
done
wished=()
for tool in "${optional[@]}"; do
  command -v "${tool%%:*}" > /dev/null || wished+=("${tool#*:}")
done
[ $((${#missing[@]} + ${#wished[@]})) -gt 0 ] || exit 0

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo > /dev/null; then
    echo "These packages are missing, and installing them needs root or sudo: ${missing[*]} ${wished[*]}" >&2
    [ ${#missing[@]} -eq 0 ]
    exit
  fi
  as_root=(sudo)
fi

# The environment is set here rather than exported, since sudo would drop it.
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -y -qq --no-install-recommends "$@"; }

updated=no
update() {
  if [ $updated = no ]; then
    updated=yes
    apt update || { sleep 5; apt update; }
  fi
}

if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing: ${missing[*]}" >&2
  # The lists at hand may be enough; if they are old or absent, fetch them and try again.
  apt install "${missing[@]}" > /dev/null 2>&1 || { update && apt install "${missing[@]}" > /dev/null; } || {
    echo "Could not install every one of: ${missing[*]}" >&2
    exit 1
  }
fi
for package in "${wished[@]}"; do
  apt install "$package" > /dev/null 2>&1 || { update && apt install "$package" > /dev/null 2>&1; } ||
    echo "Not in this machine's archive, going on without: $package" >&2
done
