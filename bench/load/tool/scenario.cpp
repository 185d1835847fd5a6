// scenario.cpp: one table of keys per kind of object; simdjson reads, the tables say what may be there.
// Thread: any. The first error stays, and what comes after it is not looked at.
#include "load/tool/scenario.hpp"

#include <simdjson.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <limits>
#include <memory>
#include <utility>

#include "load/plan/units.hpp"

namespace sluice::bench {
namespace {

namespace dom = simdjson::dom;

constexpr std::size_t scenario_bytes_max = 16 << 20;
constexpr std::size_t entries_max = 10'000;  // of an array
constexpr std::uint64_t connections_max = 1'000'000, threads_max = 256, retries_max = 100, pipeline_max = 64;

/// What all values of one document share.
struct Document {
  std::filesystem::path folder{};
  std::string error{};  // the first one
};

struct Value {
  dom::element json;
  std::string place;
  Document& document;

  void fail(const std::string& problem) const {
    if (!document.error.empty()) return;
    document.error = place.empty() ? problem : place + ": " + problem;
  }
  bool is_text() const { return json.is_string(); }
  std::string_view text() const { return json.get_string().value_unsafe(); }
};

using Read = std::function<void(const Value&)>;
struct Key {
  std::string_view name;
  Read read;
};

// ---- one value

void read_text(const Value& value, std::string& out) {
  if (!value.is_text()) return value.fail("must be a text");
  out = value.text();
}

struct Range {
  std::uint64_t least = 0, most = std::numeric_limits<std::uint64_t>::max();
};

template <class T>
void read_count(const Value& value, T& out, Range range) {
  std::uint64_t count = 0;
  range.most = std::min<std::uint64_t>(range.most, std::numeric_limits<T>::max());
  const bool whole = value.json.get_uint64().get(count) == simdjson::SUCCESS;
  if (whole && count >= range.least && count <= range.most) {
    out = static_cast<T>(count);
    return;
  }
  const bool open = range.most == std::numeric_limits<T>::max();
  value.fail("must be a whole number, " + (open ? "at least " + std::to_string(range.least)
                                                : std::to_string(range.least) + " to " + std::to_string(range.most)));
}

void read_positive(const Value& value, double& out) {
  double number = 0;
  if (value.json.get_double().get(number) != simdjson::SUCCESS || !std::isfinite(number) || number <= 0) {
    return value.fail("must be a number above 0");
  }
  out = number;
}

void read_factor(const Value& value, double& out) {
  double number = 0;
  if (value.json.get_double().get(number) != simdjson::SUCCESS || !std::isfinite(number) || number < 0) {
    return value.fail("must be a number, at least 0");
  }
  out = number;
}

void read_duration(const Value& value, Duration& out) {
  if (!value.is_text()) return value.fail("must be a text such as \"60s\" or \"300ms\"");
  const auto duration = parse_duration(value.text());
  if (!duration) return value.fail(duration.error());
  out = *duration;
}

/// Of the time axis: no narrower than that of a short run. How many a long run may have, run() knows.
void read_window(const Value& value, Duration& out) {
  constexpr Duration window_min = std::chrono::milliseconds{100};
  Duration window{};
  read_duration(value, window);
  if (window < window_min) return value.fail("must be 100ms or more");
  out = window;
}

void read_rate(const Value& value, double& out) {
  if (value.json.is_null()) {
    out = 0;
    return;
  }
  if (!value.is_text()) return read_positive(value, out);
  const auto rate = parse_rate(value.text());
  if (!rate) return value.fail(rate.error());
  if (*rate <= 0) return value.fail("must be above 0, or null for a closed loop");
  out = *rate;
}

/// Bytes, or bytes per second: a number or a text such as "64k".
void read_bytes(const Value& value, std::uint64_t& out, std::uint64_t most) {
  if (!value.is_text()) return read_count(value, out, {0, most});
  const auto bytes = parse_bytes(value.text());
  if (!bytes) return value.fail(bytes.error());
  if (*bytes > most) return value.fail("must be at most " + std::to_string(most) + " bytes");
  out = *bytes;
}

template <class T>
void read_choice(const Value& value, T& out, std::initializer_list<std::pair<std::string_view, T>> choices) {
  std::string names;
  for (const auto& [name, choice] : choices) {
    if (value.is_text() && value.text() == name) {
      out = choice;
      return;
    }
    names += (names.empty() ? "\"" : ", \"") + std::string{name} + '"';
  }
  value.fail("must be one of " + names);
}

// ---- objects and arrays

void read_object(const Value& value, std::initializer_list<Key> keys) {
  dom::object object;
  if (value.json.get_object().get(object) != simdjson::SUCCESS) return value.fail("must be an object");
  std::vector<std::string_view> seen;
  for (const dom::key_value_pair member : object) {
    const auto key = std::find_if(keys.begin(), keys.end(), [&](const Key& known) { return known.name == member.key; });
    if (key == keys.end()) {
      std::string names;
      for (const Key& known : keys) names += (names.empty() ? "" : ", ") + std::string{known.name};
      return value.fail("unknown key \"" + std::string{member.key} + "\"; known are " + names);
    }
    if (std::find(seen.begin(), seen.end(), member.key) != seen.end()) {
      return value.fail("the key \"" + std::string{member.key} + "\" is there twice");
    }
    seen.push_back(member.key);
    const std::string place = (value.place.empty() ? "" : value.place + '.') + std::string{member.key};
    key->read({member.value, place, value.document});
    if (!value.document.error.empty()) return;
  }
}

void read_array(const Value& value, const Read& read) {
  dom::array array;
  if (value.json.get_array().get(array) != simdjson::SUCCESS) return value.fail("must be an array");
  std::size_t index = 0;
  for (const dom::element element : array) {
    if (index == entries_max) return value.fail("has more than " + std::to_string(entries_max) + " entries");
    read({element, value.place + '[' + std::to_string(index++) + ']', value.document});
    if (!value.document.error.empty()) return;
  }
}

void read_texts(const Value& value, std::vector<std::string>& out) {
  out.clear();
  read_array(value, [&](const Value& entry) { read_text(entry, out.emplace_back()); });
}

/// {"name": "value"}, or an array of values for a header that comes several times.
void read_headers(const Value& value, std::vector<std::pair<std::string, std::string>>& out) {
  dom::object object;
  if (value.json.get_object().get(object) != simdjson::SUCCESS) return value.fail("must be an object");
  for (const dom::key_value_pair member : object) {
    const std::string name{member.key};
    const Value entry{member.value, value.place + '.' + name, value.document};
    if (name.empty()) return value.fail("a header needs a name");
    std::vector<std::string> values;
    if (member.value.is_array()) read_texts(entry, values);
    else read_text(entry, values.emplace_back());
    for (std::string& text : values) out.emplace_back(name, std::move(text));
  }
}

void read_body_file(const Value& value, std::string& out) {
  std::string name;
  read_text(value, name);
  if (name.empty()) return value.fail("must be the name of a file");
  auto text = read_file(value.document.folder / name);  // an absolute name stays as it is
  if (!text) return value.fail(text.error());
  out = std::move(*text);
}

RequestSpec read_request(const Value& value) {
  RequestSpec request;
  int bodies = 0;
  read_object(value, {
                         {"method", [&](const Value& it) { read_text(it, request.method); }},
                         {"target", [&](const Value& it) { read_text(it, request.target); }},
                         {"headers", [&](const Value& it) { read_headers(it, request.headers); }},
                         {"body",
                          [&](const Value& it) {
                            ++bodies;
                            read_text(it, request.body);
                          }},
                         {"body_file",
                          [&](const Value& it) {
                            ++bodies;
                            read_body_file(it, request.body);
                          }},
                         {"body_bytes",
                          [&](const Value& it) {
                            ++bodies;
                            std::uint64_t bytes = 0;
                            read_bytes(it, bytes, body_bytes_max);
                            request.body = filler(bytes);
                          }},
                         {"weight", [&](const Value& it) { read_positive(it, request.weight); }},
                     });
  if (bodies > 1) value.fail("has more than one of body, body_file and body_bytes");
  return request;
}

void read_requests(const Value& value, std::vector<RequestSpec>& out) {
  out.clear();
  read_array(value, [&](const Value& entry) { out.push_back(read_request(entry)); });
  if (out.empty()) value.fail("must have at least one request");
}

void read_pattern(const Value& value, Pattern& out) {
  using Kind = Pattern::Kind;
  read_object(value, {
                         {"kind",
                          [&](const Value& it) {
                            read_choice<Kind>(it, out.kind,
                                              {{"steady", Kind::steady}, {"burst", Kind::burst}, {"ramp", Kind::ramp}});
                          }},
                         {"high", [&](const Value& it) { read_positive(it, out.high); }},
                         {"low", [&](const Value& it) { read_factor(it, out.low); }},
                         {"on", [&](const Value& it) { read_duration(it, out.on); }},
                         {"off", [&](const Value& it) { read_duration(it, out.off); }},
                     });
}

void read_flag(const Value& value, bool& out) {
  if (value.json.get_bool().get(out) != simdjson::SUCCESS) value.fail("must be true or false");
}

struct NamedClients {
  Clients clients{};
  bool background = false;
};

NamedClients read_clients(const Value& value) {
  NamedClients named;
  Clients& clients = named.clients;
  Behaviour& behaviour = clients.behaviour;
  constexpr std::uint64_t any = std::numeric_limits<std::uint64_t>::max();
  read_object(value,
              {
                  {"name", [&](const Value& it) { read_text(it, clients.name); }},
                  {"background", [&](const Value& it) { read_flag(it, named.background); }},
                  {"connections", [&](const Value& it) { read_count(it, clients.connections, {1, connections_max}); }},
                  {"rate", [&](const Value& it) { read_rate(it, clients.rate_per_s); }},
                  {"arrival",
                   [&](const Value& it) {
                     read_choice<Arrival>(it, clients.arrival,
                                          {{"constant", Arrival::constant}, {"poisson", Arrival::poisson}});
                   }},
                  {"pattern", [&](const Value& it) { read_pattern(it, clients.pattern); }},
                  {"pipeline", [&](const Value& it) { read_count(it, behaviour.pipeline, {1, pipeline_max}); }},
                  {"requests_per_connection",
                   [&](const Value& it) { read_count(it, behaviour.requests_per_connection, {0, any}); }},
                  {"read_rate", [&](const Value& it) { read_bytes(it, behaviour.read_bytes_per_s, any); }},
                  {"write_rate", [&](const Value& it) { read_bytes(it, behaviour.write_bytes_per_s, any); }},
                  {"give_up_after", [&](const Value& it) { read_duration(it, behaviour.give_up_after); }},
                  {"retries", [&](const Value& it) { read_count(it, behaviour.retries, {0, retries_max}); }},
                  {"retry_backoff", [&](const Value& it) { read_duration(it, behaviour.retry_backoff); }},
                  {"deadline", [&](const Value& it) { read_duration(it, behaviour.deadline); }},
                  {"deadline_header", [&](const Value& it) { read_text(it, behaviour.deadline_header); }},
                  {"requests", [&](const Value& it) { read_requests(it, clients.requests); }},
              });
  return named;
}

void read_all_clients(const Value& value, Load& load) {
  std::vector<NamedClients> all;
  read_array(value, [&](const Value& entry) { all.push_back(read_clients(entry)); });
  load.clients.clear();
  load.background = 0;
  for (const bool background : {false, true}) {
    for (NamedClients& named : all) {
      if (named.background != background) continue;
      load.background += background ? 1 : 0;
      load.clients.push_back(std::move(named.clients));
    }
  }
  if (load.background == load.clients.size()) value.fail("must have at least one entry that is not background");
}

Load read_load(const Value& value) {
  Load load;
  read_object(value, {
                         {"name", [&](const Value& it) { read_text(it, load.name); }},
                         {"url", [&](const Value& it) { read_text(it, load.url); }},
                         {"threads", [&](const Value& it) { read_count(it, load.threads, {1, threads_max}); }},
                         {"duration", [&](const Value& it) { read_duration(it, load.duration); }},
                         {"warmup", [&](const Value& it) { read_duration(it, load.warmup); }},
                         {"grace", [&](const Value& it) { read_duration(it, load.grace); }},
                         {"window", [&](const Value& it) { read_window(it, load.window); }},
                         {"connect_timeout", [&](const Value& it) { read_duration(it, load.connect_timeout); }},
                         {"sources", [&](const Value& it) { read_texts(it, load.sources); }},
                         {"seed", [&](const Value& it) { read_count(it, load.seed, {}); }},
                         {"clients", [&](const Value& it) { read_all_clients(it, load); }},
                     });
  return load;
}

/// Parses `json` and calls `read` with its root.
template <class T>
std::expected<T, std::string> read_document(std::string_view json, const std::filesystem::path& folder,
                                            T (*read)(const Value&)) {
  if (json.size() > scenario_bytes_max) return std::unexpected{std::string{"is larger than 16 MiB"}};
  dom::parser parser;
  dom::element root;
  const simdjson::padded_string padded{json};
  if (const auto error = parser.parse(padded).get(root); error != simdjson::SUCCESS) {
    return std::unexpected{std::string{"is not valid JSON: "} + simdjson::error_message(error)};
  }
  Document document{folder, {}};
  T result = read({root, {}, document});
  if (!document.error.empty()) return std::unexpected{std::move(document.error)};
  return result;
}

std::vector<RequestSpec> read_mix_root(const Value& value) {
  std::vector<RequestSpec> requests;
  read_requests(value, requests);
  return requests;
}

template <class T>
std::expected<T, std::string> with_name(const std::filesystem::path& file, std::expected<T, std::string> result) {
  if (!result) return std::unexpected{file.string() + ": " + result.error()};
  return result;
}

}  // namespace

std::expected<Load, std::string> parse_scenario(std::string_view json, const std::filesystem::path& folder) {
  return read_document<Load>(json, folder, read_load);
}

std::expected<std::vector<RequestSpec>, std::string> parse_mix(std::string_view json,
                                                               const std::filesystem::path& folder) {
  return read_document<std::vector<RequestSpec>>(json, folder, read_mix_root);
}

std::expected<Load, std::string> read_scenario(const std::filesystem::path& file) {
  const auto text = read_file(file, scenario_bytes_max);
  if (!text) return std::unexpected{text.error()};
  return with_name(file, parse_scenario(*text, file.parent_path()));
}

std::expected<std::vector<RequestSpec>, std::string> read_mix(const std::filesystem::path& file) {
  const auto text = read_file(file, scenario_bytes_max);
  if (!text) return std::unexpected{text.error()};
  return with_name(file, parse_mix(*text, file.parent_path()));
}

std::expected<std::string, std::string> read_file(const std::filesystem::path& file, std::size_t bytes_max) {
  const auto failed = [&](const char* why) { return std::unexpected{file.string() + ": " + why}; };
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream{std::fopen(file.c_str(), "rbe"), std::fclose};
  if (!stream) return failed(std::strerror(errno));
  std::string text;
  constexpr std::size_t step = 256 * 1024;
  for (std::size_t count = step; count == step;) {
    const std::size_t size = text.size();
    if (size > bytes_max) return failed("is too large");
    text.resize(size + step);
    count = std::fread(text.data() + size, 1, step, stream.get());
    text.resize(size + count);
  }
  if (std::ferror(stream.get()) != 0) return failed(std::strerror(errno));
  if (text.size() > bytes_max) return failed("is too large");
  return text;
}

std::string filler(std::size_t bytes) {
  constexpr std::string_view alphabet = "abcdefghijklmnopqrstuvwxyz";
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) text[i] = alphabet[i % alphabet.size()];
  return text;
}

}  // namespace sluice::bench
