#!/usr/bin/env bash
# Builds sluice and runs its tests: installs what is missing, configures, builds, tests. ctest's verdict comes last.
#
#   tests/run.sh [--preset dev|asan|tsan] [-R REGEX]     REGEX chooses tests by name, as ctest's -R
#
# SLUICE_JOBS sets how many jobs run at once (default: the number of cores).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

preset=dev
select=()
while [ $# -gt 0 ]; do
  case "$1" in
    --preset) preset=${2:?"--preset needs a name"}; shift 2 ;;
    -R) select=(-R "${2:?"-R needs a pattern"}"); shift 2 ;;
    *) sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 2 ;;
  esac
done
jobs=${SLUICE_JOBS:-$(nproc)}

cmake/setup.sh

# GCC 12's thread sanitizer cannot live with much address randomisation; its tests run without.
still=()
if [ "$preset" = tsan ] && setarch -R true 2> /dev/null; then
  still=(setarch -R)
fi
export ASAN_OPTIONS="detect_leaks=1:detect_stack_use_after_return=1:strict_string_checks=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
export UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1${UBSAN_OPTIONS:+:$UBSAN_OPTIONS}"
export TSAN_OPTIONS="halt_on_error=1:second_deadlock_stack=1${TSAN_OPTIONS:+:$TSAN_OPTIONS}"

echo "== $preset: configure and build"
cmake --preset "$preset" --log-level=NOTICE
cmake --build --preset "$preset" -j "$jobs" -- --quiet
echo "== $preset: test"
${still[@]+"${still[@]}"} ctest --test-dir "build/$preset" --output-on-failure --no-tests=error -j "$jobs" ${select[@]+"${select[@]}"}
