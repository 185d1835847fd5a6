// flags.cpp: a Load from flags: the scenario first, then what the flags say of it. Any thread; reads files only.
#include "load/tool/flags.hpp"

#include <algorithm>

#include "load/client/target.hpp"
#include "load/tool/scenario.hpp"

namespace sluice::bench {
namespace {

constexpr unsigned churn_sources = 8;  // 8 x 28,000 ports

template <class T>
void take(const std::optional<T>& flag, T& setting) {
  if (flag) setting = *flag;
}

void apply_behaviour(const LoadFlags& flags, Clients& clients) {
  take(flags.rate_per_s, clients.rate_per_s);
  take(flags.connections, clients.connections);
  take(flags.arrival, clients.arrival);
  take(flags.pattern, clients.pattern.kind);
  take(flags.high, clients.pattern.high);
  take(flags.low, clients.pattern.low);
  take(flags.on, clients.pattern.on);
  take(flags.off, clients.pattern.off);
  Behaviour& behaviour = clients.behaviour;
  take(flags.pipeline, behaviour.pipeline);
  take(flags.requests_per_connection, behaviour.requests_per_connection);
  if (flags.new_connections) behaviour.requests_per_connection = 1;
  take(flags.give_up, behaviour.give_up_after);
  take(flags.retries, behaviour.retries);
  take(flags.retry_backoff, behaviour.retry_backoff);
  take(flags.deadline, behaviour.deadline);
  take(flags.deadline_header, behaviour.deadline_header);
}

std::expected<std::optional<std::string>, std::string> body_of(const LoadFlags& flags) {
  if (flags.body_bytes) return filler(*flags.body_bytes);
  if (!flags.body_file) return flags.body;
  auto text = read_file(*flags.body_file);
  if (!text) return std::unexpected{text.error()};
  return std::move(*text);
}

/// What is said of requests holds for each of the first clients'; without any it makes one.
std::optional<std::string> apply_requests(const LoadFlags& flags, std::vector<RequestSpec>& requests) {
  if (flags.mix) {
    auto mix = read_mix(*flags.mix);
    if (!mix) return mix.error();
    requests = std::move(*mix);
  }
  const auto body = body_of(flags);
  if (!body) return body.error();
  if (!flags.method && !*body && flags.headers.empty()) return std::nullopt;
  if (requests.empty()) requests.emplace_back();
  for (RequestSpec& request : requests) {
    take(flags.method, request.method);
    take(*body, request.body);
    if (*body && !flags.method && request.method == "GET") request.method = "POST";
    request.headers.insert(request.headers.end(), flags.headers.begin(), flags.headers.end());
  }
  return std::nullopt;
}

void add_background(const LoadFlags& flags, Load& load) {
  const auto add = [&load](const char* name, unsigned connections) -> Behaviour& {
    Clients clients;
    clients.name = name;
    clients.connections = connections;
    clients.requests = load.clients.front().requests;
    ++load.background;
    return load.clients.emplace_back(std::move(clients)).behaviour;
  };
  if (flags.slow_readers) add("slow readers", *flags.slow_readers).read_bytes_per_s = flags.read_rate;
  if (flags.slow_writers) add("slow writers", *flags.slow_writers).write_bytes_per_s = flags.write_rate;
}

/// 127.0.0.2 and up.
std::vector<std::string> loopback_sources(unsigned count) {
  std::vector<std::string> sources;
  for (unsigned i = 0; i < count; ++i) sources.push_back("127.0.0." + std::to_string(i + 2));
  return sources;
}

}  // namespace

std::expected<Load, std::string> make_load(const LoadFlags& flags) {
  std::expected<Load, std::string> load;
  if (flags.scenario) load = read_scenario(*flags.scenario);
  if (!load) return load;
  take(flags.url, load->url);
  if (load->url.empty()) return std::unexpected{std::string{"a URL is needed, here or in the scenario"}};
  const auto target = resolve(load->url);  // a host that is not to be found is for the run to report
  if (!target && target.error().kind == Error::Kind::usage) return std::unexpected{target.error().text};
  take(flags.name, load->name);
  take(flags.threads, load->threads);
  take(flags.duration, load->duration);
  take(flags.warmup, load->warmup);
  take(flags.grace, load->grace);
  take(flags.seed, load->seed);
  apply_behaviour(flags, load->clients.front());
  if (auto problem = apply_requests(flags, load->clients.front().requests)) return std::unexpected{std::move(*problem)};
  add_background(flags, *load);
  if (!flags.sources.empty()) load->sources = flags.sources;
  if (flags.source_count) load->sources = loopback_sources(*flags.source_count);
  if (flags.new_connections && load->sources.empty() && target && target->address.host().starts_with("127.")) {
    load->sources = loopback_sources(churn_sources);
  }
  return load;
}

}  // namespace sluice::bench
