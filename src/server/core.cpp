#include "server/core.hpp"

#include <algorithm>
#include <stdexcept>

#include "http/fields.hpp"
#include "server/deadline.hpp"
#include "server/problem_json.hpp"

namespace sluice::detail {
namespace {

constexpr int fixed_statuses[] = {400, 404, 405, 408, 413, 414, 417, 429, 431, 500, 501, 503, 504, 505};

[[noreturn]] void fail(const std::string& sentence) { throw std::invalid_argument{sentence}; }

void above_zero(std::string_view option, long long value) {
  if (value <= 0) fail(std::string{option} + " must be above 0");
}

void above_zero(std::string_view option, std::chrono::milliseconds value) {
  above_zero(option, value.count());
  if (value > time_max) fail(std::string{option} + " must not be above seven days");
}

void at_most(std::string_view option, unsigned long long value, unsigned long long most) {
  if (value > most) fail(std::string{option} + " must not be above " + std::to_string(most));
}

void check_deadline_headers(const std::vector<DeadlineHeader>& headers) {
  at_most("deadline_headers: their number", headers.size(), deadline_headers_max);
  for (const auto& [name, format] : headers) {
    if (!http::valid_field_name(name)) fail("deadline_headers: \"" + name + "\" is not the name of a field");
    if (format > DeadlineHeader::Format::prefer_wait) fail("deadline_headers: " + name + " has no known format");
  }
}

}  // namespace

Core::Core(std::unique_ptr<RouterState> routes, ServerOptions options, const base::Clock& clock, const Hosts& hosts)
    : routes_{std::move(routes)}, options_{std::move(options)}, clock_{clock} {
  if (routes_ == nullptr) fail("router: it was moved from");
  for (Route& route : routes_->routes) by_index_.push_back(&route);
  check_options();
  client_seed_ = std::hash<std::string>{}(std::to_string(clock_.now().time_since_epoch().count())) | 1;
  build_pools(hosts);
  build_lanes();
  for (const int status : fixed_statuses) {
    const Response response = render_problem(Problem{status});
    fixed_bodies_.emplace_back(status, std::string{response.body()});
  }
}

void Core::check_options() const {
  const Limits& l = options_.limits;
  above_zero("loops", options_.loops);
  at_most("loops", options_.loops, 1024);
  above_zero("pool_threads", options_.pool_threads);
  at_most("pool_threads", options_.pool_threads, 4096);
  above_zero("loop_stall_threshold", options_.loop_stall_threshold);
  above_zero("limits.connections_max", l.connections_max);
  at_most("limits.connections_max", l.connections_max, 1u << 24);
  above_zero("limits.connection_in_flight_max", l.connection_in_flight_max);
  above_zero("limits.head_timeout", l.head_timeout);
  above_zero("limits.head_bytes_max", l.head_bytes_max);
  at_most("limits.head_bytes_max", l.head_bytes_max, 65'535);
  above_zero("limits.head_fields_max", l.head_fields_max);
  at_most("limits.head_fields_max", l.head_fields_max, 128);
  above_zero("limits.target_bytes_max", l.target_bytes_max);
  at_most("limits.target_bytes_max", l.target_bytes_max, l.head_bytes_max);
  if (l.body_bytes_max == 0) fail("limits.body_bytes_max must be above 0");
  above_zero("limits.body_timeout", l.body_timeout);
  above_zero("limits.body_rate_min", l.body_rate_min);
  above_zero("limits.body_grace", l.body_grace);
  above_zero("limits.body_window_bytes", l.body_window_bytes);
  above_zero("limits.idle_timeout", l.idle_timeout);
  above_zero("limits.write_timeout", l.write_timeout);
  above_zero("limits.output_high_water", l.output_high_water);
  above_zero("limits.pipelined_max", l.pipelined_max);
  above_zero("limits.pipelined_bytes_max", l.pipelined_bytes_max);
  if (l.pipelined_bytes_max < l.head_bytes_max) {
    fail("limits.pipelined_bytes_max must not be below limits.head_bytes_max");
  }
  above_zero("limits.linger_timeout", l.linger_timeout);
  above_zero("limits.linger_bytes_max", l.linger_bytes_max);
  if (l.buffered_bytes_max == 0) fail("limits.buffered_bytes_max must be above 0");
  above_zero("limits.drain_timeout", l.drain_timeout);
  above_zero("limits.drain_grace", l.drain_grace);
  check_deadline_headers(options_.deadline_headers);
}

Response Core::render(const Request& request, const Problem& problem) const noexcept {
  try {
    Response response = options_.render_problem ? options_.render_problem(request, problem) : render_problem(problem);
    for (const auto& [name, value] : problem.headers()) response.header(name, value);
    return response;
  } catch (...) { log(LogEvent::Level::error, "render_problem_threw", request.route(), {}); }
  Response plain;  // needs no memory
  try {
    plain.status(problem.status());
  } catch (...) { log(LogEvent::Level::error, "render_problem_status", request.route(), {}); }
  return plain;
}

std::string_view Core::fixed_body(int status) const noexcept {
  for (const auto& [key, body] : fixed_bodies_) {
    if (key == status) return body;
  }
  return {};
}

void Core::log(LogEvent::Level level, std::string_view what, std::string_view route,
               std::string_view detail) const noexcept {
  if (!options_.log) return;
  log_calls_.fetch_add(1, std::memory_order_relaxed);
  try {
    options_.log({level, what, route, detail});
  } catch (...) {  // a log hook that throws has no better place to say so
    return;
  }
}

}  // namespace sluice::detail
