// deadline.hpp: deadlines from service to service: which request fields may shorten a request's budget, and how what is
// left of it is told to whatever a handler calls. Values only; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace sluice {

class Request;

/// A request field that says how long its sender is going to wait. It holds a duration and no time of day, so that no
/// two machines' clocks are compared. Inbound: ServerOptions::deadline_headers; outbound: deadline_header().
struct DeadlineHeader {
  /// How the value is written: whole numbers without a sign. What does not read so, or is more than ten years, is
  /// ignored.
  enum class Format : std::uint8_t {
    milliseconds,  // "250"
    seconds,  // "2"
    grpc,  // 1 to 8 digits and a unit out of H M S m u n: "250m"
    prefer_wait,  // "wait=2" in a list of preferences, in seconds; the first "wait" counts. Source: RFC 7240 4.3
  };
  std::string name{};  // compared without case
  Format format = Format::milliseconds;

  static DeadlineHeader grpc_timeout();  // "grpc-timeout". Source: gRPC over HTTP2, Request-Headers
  static DeadlineHeader envoy_expected_timeout();  // "x-envoy-expected-rq-timeout-ms", which Envoy adds upstream
  static DeadlineHeader prefer_wait();  // "Prefer"
};

/// What a call made by this request's handler may take: remaining(), less 5 % of it and at least 5 ms, so that its
/// answer can still be used. Never negative; 0: don't call any more.
std::chrono::nanoseconds downstream_budget(const Request& request) noexcept;

/// A duration in that format, never more than `budget`: parts of a unit are cut off, so that less than one reads as 0,
/// which is a deadline that has passed. Below 0 counts as 0.
///   Units: grpc takes the finest unit that leaves eight digits; the others have one.
std::string format_deadline(DeadlineHeader::Format format, std::chrono::nanoseconds budget);

/// Name and value of the field that hands downstream_budget() on, for whichever client makes the call.
std::pair<std::string, std::string> deadline_header(const Request& request, const DeadlineHeader& header);

}  // namespace sluice
