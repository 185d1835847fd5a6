// router_bench.cpp: from a path to its route, with 1, 50 and 300 routes; no sockets, one thread.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/route_table.hpp"

namespace sluice::detail {
namespace {

constexpr std::size_t variants = 16;  // of parameters, so that no branch is learned from one path

enum class Kind { fixed, one_parameter, three_parameters, miss };

std::string resource(std::int64_t number) { return "/api/v1/resource" + std::to_string(number); }

std::string pattern_of(Kind kind, std::int64_t number) {
  switch (kind) {
    case Kind::one_parameter: return resource(number) + "/{id}";
    case Kind::three_parameters: return resource(number) + "/{id}/parts/{part}/notes/{note}";
    default: return resource(number);
  }
}

std::string path_of(Kind kind, std::int64_t number, std::size_t variant) {
  const std::string value = std::to_string(1000 + variant * 37);
  switch (kind) {
    case Kind::one_parameter: return resource(number) + "/" + value;
    case Kind::three_parameters: return resource(number) + "/" + value + "/parts/" + value + "/notes/" + value;
    case Kind::miss: return resource(number) + "/" + value + "/nothing";
    default: return resource(number);
  }
}

/// A table whose routes are a third each of static ones, of one parameter and of three.
RouteTable table_of(std::int64_t count, Kind wanted) {
  constexpr Kind kinds[] = {Kind::fixed, Kind::one_parameter, Kind::three_parameters};
  RouteTable table;
  for (std::int64_t i = 0; i < count; ++i) {
    const Kind kind = count == 1 ? wanted : kinds[i % 3];
    table.add(Method::get, pattern_of(kind, i), static_cast<std::uint32_t>(i));
  }
  return table;
}

void match(benchmark::State& state, Kind kind) {
  const std::int64_t count = state.range();
  const RouteTable table = table_of(count, kind);
  // A route of that kind from the middle.
  const std::int64_t step = kind == Kind::three_parameters ? 2 : kind == Kind::one_parameter ? 1 : 0;
  const std::int64_t number = count == 1 ? 0 : count / 2 / 3 * 3 + step;
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < variants; ++i) paths.push_back(path_of(kind, number, i));
  const Match::Kind wanted = kind == Kind::miss ? Match::Kind::not_found : Match::Kind::found;
  PathScratch scratch;
  std::size_t turn = 0;
  for (auto _ : state) {
    const Match found = table.match(Method::get, paths[turn++ % variants], scratch);
    if (found.kind != wanted) {
      std::fprintf(stderr, "%s did not lead where it should\n", paths[0].c_str());
      std::abort();
    }
    benchmark::DoNotOptimize(found);
  }
}
BENCHMARK_CAPTURE(match, static_hit, Kind::fixed)->Arg(1)->Arg(50)->Arg(300);
BENCHMARK_CAPTURE(match, one_parameter, Kind::one_parameter)->Arg(1)->Arg(50)->Arg(300);
BENCHMARK_CAPTURE(match, three_parameters, Kind::three_parameters)->Arg(1)->Arg(50)->Arg(300);
BENCHMARK_CAPTURE(match, miss, Kind::miss)->Arg(1)->Arg(50)->Arg(300);

}  // namespace
}  // namespace sluice::detail
