// help.hpp: what --help says besides the flags. Text only.
#pragma once

#include <string_view>

namespace sluice::bench::help {

inline constexpr std::string_view summary =
    "Load on an HTTP/1.1 server, sent on plan and measured from the planned time.";

inline constexpr std::string_view exit_codes =
    R"(Units: rates 500, 20k, 1.5M; times 300ms, 10s, 2m; sizes 100, 64k, 1M.

Examples:
  sluice-load run http://127.0.0.1:8080/ -R 20k -c 256 -d 60s -o run.json
  sluice-load search http://127.0.0.1:8080/ --slo 'p99<10ms' --quick --html report.html
  sluice-load run --help

What it returns:
  0  done
  2  usage: a flag, a value, a scenario or a file to write that is wrong
  3  nothing can be reached at the URL
  4  what answers there does not speak HTTP
  5  too few file descriptors (ulimit -n)
  6  another error of the system
  7  measured and written, but INVALID: the result says why it does not count
  130  interrupted; what was measured until then is printed and written)";

inline constexpr std::string_view run =
    R"(Examples:
  sluice-load run http://127.0.0.1:8080/ -c 64 -d 10s                     closed loop: as fast as answers come
  sluice-load run http://127.0.0.1:8080/ -R 20k -c 256 -d 60s --warmup 5s
  sluice-load run http://127.0.0.1:8080/ -R 2k --pattern burst --high 5 --on 1s --off 4s
  sluice-load run http://127.0.0.1:8080/items -R 1k --body '{"n":{seq}}' -H 'Content-Type: application/json'
  sluice-load run http://127.0.0.1:8080/ -R 5k --new-connections
  sluice-load run http://127.0.0.1:8080/big -R 1k --slow-readers 100 --read-rate 1k
  sluice-load run --scenario mixed.json -o mixed.json.result)";

inline constexpr std::string_view sweep =
    R"(Example:
  sluice-load sweep http://127.0.0.1:8080/ --rates 10k,30k,50k -c 400 -d 60s --pause 5s --html sweep.html)";

inline constexpr std::string_view search =
    R"(Without --slo: p99<50ms and errors<0.1%.

Examples:
  sluice-load search http://127.0.0.1:8080/ --quick
  sluice-load search http://127.0.0.1:8080/ --slo 'p99<10ms' --slo 'max<200ms' --slo 'errors<0.01%' --full
  sluice-load search http://127.0.0.1:8080/ --profile --pid 4711 --html search.html)";

inline constexpr std::string_view report =
    R"(Example:
  sluice-load report search.json overload.json slow.json --html report.html)";

inline constexpr std::string_view self_check =
    R"(Prints the ceiling of a closed loop against a server that only answers, and, at half of it, the median and how late
requests were sent (p99.9). Takes 8 seconds. Pinned to one CPU it leaves the others to that server.

Example:
  taskset -c 1 sluice-load self-check)";

inline constexpr std::string_view null_server =
    R"(Answers every request head with the same 13 bytes, on one thread, until it gets SIGINT or SIGTERM.

Example:
  taskset -c 0 sluice-load null-server --port 9000)";

inline constexpr std::string_view compare =
    R"(Example:
  sluice-load compare before1.json,before2.json,before3.json after1.json,after2.json,after3.json)";

}  // namespace sluice::bench::help
