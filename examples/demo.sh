#!/usr/bin/env bash
# Shows sluice at work: installs what is missing, builds the release preset, starts the showcase server and takes you on
# a tour of it with curl, then with far more load than it can carry, then with a SIGTERM in the middle of it. At the end
# it stands beside a server with an unbounded queue, under the same load: as a table, and as a page to try.
#
#   examples/demo.sh         the tour, then the page is served until Ctrl-C
#   examples/demo.sh --tour  the tour only
#
# Exits with 1 if anything on the way was not as promised. Ends nothing it has not started.
set -euo pipefail

case "${1:-}" in
  "" | --tour) ;;
  *) echo "usage: $0 [--tour]" >&2; exit 2 ;;
esac
only_tour=${1:-}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
server_program=$root/build/release/examples/sluice-showcase
burst=(python3 -B "$root/examples/burst.py")
scratch=$(mktemp -d)
server=
load=
faults=0

# ---- how it looks

bold='' dim='' red='' green='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\e[1m' dim=$'\e[2m' red=$'\e[31m' green=$'\e[32m' plain=$'\e[0m'
fi
chapter() { printf '\n%s%s%s\n' "$bold" "$1" "$plain"; shift; for line in "$@"; do printf '%s%s%s\n' "$dim" "$line" "$plain"; done; }
good() { printf '  %sok%s  %s\n' "$green" "$plain" "$1"; }
bad() { printf '  %sNOT AS PROMISED%s  %s\n' "$red" "$plain" "$1"; faults=$((faults + 1)); }
indent() { sed 's/^/  /'; }

# ---- what is started is ended, by its own id

# The server gets a session of its own, so that Ctrl-C reaches this script only, which then ends the server properly.
start_server() {
  setsid "$server_program" --listen "127.0.0.1:$port" "$@" 2> "$scratch/server.log" &
  server=$!
  for _ in $(seq 100); do
    grep -q '^listening on ' "$scratch/server.log" && return 0
    kill -0 "$server" 2> /dev/null || break
    sleep 0.05
  done
  echo "The server did not start:" >&2
  cat "$scratch/server.log" >&2
  exit 1
}
end_server() {
  [ -n "$server" ] || return 0
  kill -TERM "$server" 2> /dev/null || true
  local code=0
  wait "$server" || code=$?
  server=
  return $code
}
clean_up() {
  [ -z "$load" ] || kill "$load" 2> /dev/null || true
  end_server || true
  rm -rf "$scratch"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- steps of the tour

# quoted WORD...: as one would type it.
quoted() {
  for word in "$@"; do
    case $word in
      *[!A-Za-z0-9_.:/-]*) printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
}
# ask STATUS CURL-ARGUMENT...: shows the request, the answer's first line and the fields that matter, and the body.
ask() {
  local wanted=$1 status
  shift
  printf '\n  %s$ curl%s%s\n' "$bold" "$(quoted "$@")" "$plain"
  if ! curl -s -S -i -m 10 "$@" > "$scratch/answer" 2> "$scratch/error"; then
    bad "no answer: $(cat "$scratch/error")"
    return
  fi
  tr -d '\r' < "$scratch/answer" | awk -v dim="$dim" -v plain="$plain" '
    body { print substr($0, 1, 160); next }
    /^$/ { body = 1; next }
    /^HTTP/ { print; next }
    /^(Date|Content-Length|Connection):/ { next }
    { print dim $0 plain }' | indent
  status=$(head -n 1 "$scratch/answer" | cut -d ' ' -f 2)
  [ "$status" = "$wanted" ] || bad "the status is $status, $wanted was promised"
}
# has PATTERN: the last answer has a line like that.
has() { tr -d '\r' < "$scratch/answer" | grep -qiE "$1" || bad "the answer has no \"$1\""; }

# books: the counters of the lane "sleep", and whether they balance.
books() {
  curl -s -m 10 "$url/counters" | python3 -B -c '
import json, sys
lane = json.load(sys.stdin)["lanes"]["sleep"]
shed = sum(lane["shed"].values())
waited = lane["expired"] + lane["cancelled"] + lane["evicted"] + lane["stale"] + lane["drained"]
print("  received {received:,} = queued {queued:,} + refused at the gate {:,}".format(shed, **lane))
print("  queued {queued:,} = started {started:,} + given up in the queue {:,} + still there {depth}".format(waited, **lane))
print("  started after their deadline: {started_after_deadline}".format(**lane))
sys.exit(not (lane["received"] == shed + lane["queued"] + lane["inline"]
              and lane["queued"] + lane["inline"] == lane["started"] + waited + lane["depth"]
              and lane["started_after_deadline"] == 0))'
}

tour_answers() {
  chapter "One request, one answer" "A handler on the event loop, two that block on a pool, one that answers from another thread."
  ask 200 "$url/"
  has '^Hello, World!$'
  ask 200 "$url/users/42"
  ask 200 -d '{"x":19,"y":23}' "$url/math/plus"
  has '^\{"total":42\}$'
  ask 200 "$url/sleep?ms=50"
  ask 200 "$url/later?ms=50"

  chapter "What goes wrong is said plainly" "Every error is application/problem+json (RFC 9457); what an exception says goes to the log only."
  ask 400 "$url/users/someone"
  has '^Content-Type: application/problem\+json'
  ask 404 "$url/users/999999"
  ask 405 -X DELETE "$url/users/42"
  has '^Allow: GET, HEAD, OPTIONS'
  ask 418 "$url/raise"
  ask 500 "$url/throw"
  ask 500 "$url/drop"

  chapter "A budget is a promise" "/sleep has 250 ms. This one would take two seconds; its client is told when the 250 ms are over."
  ask 504 "$url/sleep?ms=2000"
  has '^X-Request-Outcome: unknown'
  printf '  %safter %s s%s\n' "$dim" "$(curl -s -o /dev/null -m 10 -w '%{time_total}' "$url/sleep?ms=2000")" "$plain"
  sleep 2.2 # until both have returned: their permits stay taken as long as they run
}

tour_burst() {
  chapter "Ten times more than it can carry" \
    "/sleep?ms=20 on 16 permits does 800 a second. For three seconds it gets 8,000, due on the clock, answered or not."
  if "${burst[@]}" "127.0.0.1:$port" '/sleep?ms=20' --rate 8000 --seconds 3 --least-200 720; then
    good "at least 90 % of what it can do was done, all else was refused, most of it at the gate; nothing hung, nothing was cut short"
  else
    faults=$((faults + 1))
  fi
  printf '\n  %sWhat a refusal looks like: try again later, nothing was started.%s\n' "$dim" "$plain"
  "${burst[@]}" "127.0.0.1:$port" '/sleep?ms=20' --rate 8000 --seconds 1 > "$scratch/load" & load=$!
  sleep 0.5
  curl -s -m 10 "$url/health" > "$scratch/health" || true
  for _ in $(seq 20); do
    curl -s -i -m 10 "$url/sleep?ms=20" | tr -d '\r' > "$scratch/refusal" || true
    grep -q '^HTTP/1.1 503' "$scratch/refusal" && break
  done
  wait "$load" || { bad "the burst around it:"; cat "$scratch/load"; }
  load=
  grep -vE '^(Date|Content-Length):|^$' "$scratch/refusal" | indent
  if grep -q '^HTTP/1.1 503' "$scratch/refusal" && grep -qE '^Retry-After: [0-9]+$' "$scratch/refusal" &&
    grep -q '^X-Request-Outcome: not-started' "$scratch/refusal"; then
    good "503 with Retry-After and X-Request-Outcome: not-started"
  else
    bad "twenty requests in the middle of the burst, and not one proper refusal"
  fi
  if [ "$(cat "$scratch/health")" = ok ]; then good "/health was answered in the middle of it"; else bad "/health was not answered"; fi

  printf '\n  %sA second later, at half its capacity:%s\n' "$dim" "$plain"
  sleep 1
  if "${burst[@]}" "127.0.0.1:$port" '/sleep?ms=20' --rate 400 --seconds 1 --connections 100 --expect 200; then
    good "all 200 again"
  else
    faults=$((faults + 1))
  fi
  printf '\n  %sThe books of that lane:%s\n' "$dim" "$plain"
  if books; then good "they balance"; else bad "they do not balance"; fi
}

tour_drain() {
  chapter "SIGTERM in the middle of it" \
    "1,000 requests a second, every other one for 64 KiB. After a second the server is told to end."
  "${burst[@]}" "127.0.0.1:$port" '/sleep?ms=20' /big --rate 1000 --seconds 10 --until-closed > "$scratch/load" & load=$!
  sleep 1.3
  local begin=${EPOCHREALTIME/./} code=0 load_code=0
  end_server || code=$?
  local took=$(((${EPOCHREALTIME/./} - begin) / 1000))
  wait "$load" || load_code=$?
  load=
  cat "$scratch/load"
  grep '^drained' "$scratch/server.log" | indent || bad "the server did not say what it drained"
  if [ $load_code -eq 0 ]; then good "0 answers cut short"; else faults=$((faults + 1)); fi
  if [ $code -eq 0 ]; then good "the server ended by itself after $took ms, exit code 0"; else bad "its exit code was $code"; fi
}

tour_split() {
  chapter "Beside an unbounded queue" \
    "The same handler twice, under the same load: 16 connections, 20 ms a query, so 800 a second. Fifteen seconds."
  start_server --demo --quiet
  if python3 -B "$root/examples/demo_record.py" --table --address "127.0.0.1:$port"; then
    good "with three times too much sluice went on; the queue on the left did not even get over it afterwards"
  else
    faults=$((faults + 1))
  fi
}

# ---- from here on it happens

chapter "sluice" "Packages, build, server. The first build takes a minute or two."
"$root/cmake/setup.sh"
cd "$root"
if ! { cmake --preset release && cmake --build --preset release; } > "$scratch/build.log" 2>&1; then
  tail -n 40 "$scratch/build.log" >&2
  echo "The build failed." >&2
  exit 1
fi

# The first of these ports that nobody uses. The kernel's choice, 0, never fails.
port=$(python3 -B -c '
import socket
for port in (8080, 0):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            print(probe.getsockname()[1])
            break
        except OSError:
            pass')
[ "$port" = 8080 ] || echo "Port 8080 is taken, so the server gets $port."
url=http://127.0.0.1:$port
start_server
grep -E '^  (backend|threads|memory) |^listening' "$scratch/server.log" | sed 's/^ */  /'

tour_answers
tour_burst
tour_drain
tour_split

echo
if [ $faults -gt 0 ]; then
  printf '%s%d things were not as promised.%s\n' "$red" "$faults" "$plain"
  exit 1
fi
printf '%sEverything was as promised.%s\n' "$green" "$plain"
[ "$only_tour" != --tour ] || exit 0

printf '\nNow with your own hands: open %s%s/demo%s and move the slider. Served until Ctrl-C, as are %s/report and %s/counters.\n' \
  "$bold" "$url" "$plain" "$url" "$url"
trap 'echo; end_server && exit 0; exit 1' INT TERM
code=0
wait "$server" || code=$?
server=
exit "$code"
