// http_bench.cpp: what a head costs to read and to write, and a query parameter to find; no sockets, one thread.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/head_writer.hpp"
#include "http/parser.hpp"
#include "http/target.hpp"

namespace sluice::http {
namespace {

// A parser may know the host or the head it saw last; what arrives differs each time.
constexpr std::size_t variants = 16;

std::string number_of(std::size_t variant) { return std::to_string(100 + variant); }

std::string plain_get(std::size_t variant) {
  return "GET /?n=" + number_of(variant) + " HTTP/1.1\r\nHost: " + number_of(variant) + ".test\r\n\r\n";
}

std::string browser_get(std::size_t variant) {
  return "GET /?p=" + number_of(variant) + " HTTP/1.1\r\nHost: www" + number_of(variant) +
         ".example.com\r\n"
         "Connection: keep-alive\r\n"
         "Upgrade-Insecure-Requests: 1\r\n"
         "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/" +
         number_of(variant) +
         ".0.0.0 Safari/537.36\r\n"
         "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8\r\n"
         "Referer: http://www.example.com/list/" +
         number_of(variant) +
         "\r\n"
         "Accept-Encoding: gzip, deflate, br\r\n"
         "Accept-Language: en-US,en;q=0.9\r\n"
         "Cookie: session=5f0c2" +
         number_of(variant) + "; theme=dark\r\n\r\n";
}

std::string post(std::size_t variant) {
  return "POST /orders HTTP/1.1\r\nHost: " + number_of(variant) +
         ".example.com\r\nContent-Type: application/json\r\nContent-Length: " + number_of(variant) + "\r\n\r\n";
}

std::vector<std::string> heads_of(std::string (*make)(std::size_t)) {
  std::vector<std::string> heads;
  for (std::size_t i = 0; i < variants; ++i) heads.push_back(make(i));
  return heads;
}

void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

/// The guard alone: where the head ends, and that nothing in it is wrong.
void scan_head(benchmark::State& state, std::string (*make)(std::size_t)) {
  const std::vector<std::string> heads = heads_of(make);
  Head out;
  std::size_t turn = 0;
  for (auto _ : state) {
    HeadGuard guard;
    const std::string& head = heads[turn++ % variants];
    if (guard.scan(head, {}, out) != Scan::complete) fail("a head was refused");
    benchmark::DoNotOptimize(guard);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(heads[0].size()));
}
BENCHMARK_CAPTURE(scan_head, get_40_bytes, plain_get);
BENCHMARK_CAPTURE(scan_head, browser_450_bytes, browser_get);
BENCHMARK_CAPTURE(scan_head, post, post);

/// Guard and parser, as a connection does it.
void parse_head(benchmark::State& state, std::string (*make)(std::size_t)) {
  std::vector<std::string> heads = heads_of(make);
  HeadParser parser;
  Head out;
  std::size_t turn = 0;
  for (auto _ : state) {
    HeadGuard guard;
    std::string& head = heads[turn++ % variants];
    if (guard.scan(head, {}, out) != Scan::complete || !parser.parse({head.data(), head.size()}, guard, out)) {
      fail("a head was refused");
    }
    benchmark::DoNotOptimize(out);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(heads[0].size()));
}
BENCHMARK_CAPTURE(parse_head, get_40_bytes, plain_get);
BENCHMARK_CAPTURE(parse_head, browser_450_bytes, browser_get);
BENCHMARK_CAPTURE(parse_head, post, post);

void write_head(benchmark::State& state, const ResponseHead& head) {
  const DateLine date{784'887'151};
  std::vector<char> out(head_bound(head));
  for (auto _ : state) {
    benchmark::DoNotOptimize(write_head(out.data(), head, date));
    benchmark::ClobberMemory();
  }
}
BENCHMARK_CAPTURE(write_head, usual, ResponseHead{.content_type = "text/plain", .content_length = 13});
BENCHMARK_CAPTURE(write_head, not_found,
                  ResponseHead{.status = 404,
                               .content_type = "application/problem+json",
                               .content_length = 120,
                               .connection = ResponseHead::Connection::close});
BENCHMARK_CAPTURE(write_head, four_fields,
                  ResponseHead{.content_type = "text/html; charset=utf-8",
                               .fields = "ETag: \"5f0c2\"\r\nCache-Control: no-cache\r\nVary: Accept\r\nX-Id: 4711\r\n",
                               .content_length = 65'536});

/// The last parameter of a query of `range` pairs.
void find_query_parameter(benchmark::State& state) {
  std::string query;
  for (std::int64_t i = 0; i < state.range(); ++i) query += "name" + std::to_string(i) + "=value&";
  query.pop_back();
  const std::string wanted = "name" + std::to_string(state.range() - 1);
  for (auto _ : state) {
    QueryScan scan{query};
    std::optional<QueryScan::Pair> pair = scan.next();
    while (pair && !matches(pair->name, wanted)) pair = scan.next();
    if (!pair) fail("the parameter was not found");
    benchmark::DoNotOptimize(pair->value);
  }
}
BENCHMARK(find_query_parameter)->Arg(1)->Arg(2)->Arg(8)->Arg(32);

void decode_query_value(benchmark::State& state) {
  const std::string_view escaped = "Gr%C3%BC%C3%9Fe+aus+K%C3%B6ln";
  std::string out;
  for (auto _ : state) {
    out.clear();
    if (!percent_decode(escaped, out, true)) fail("the value was refused");
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(decode_query_value);

}  // namespace
}  // namespace sluice::http
