// problem_json.hpp: the default rendering of a Problem, used when ServerOptions::render_problem is not set.
// A Problem in, a Response out. Any thread; no I/O. Never shows Problem::cause().
#pragma once

#include <sluice/message.hpp>
#include <sluice/problem.hpp>

namespace sluice::detail {

/// The problem as application/problem+json: type, title, status and, if there is one, detail.
///   Cost:   two allocations.
///   Source: RFC 9457 3.
Response render_problem(const Problem& problem);

}  // namespace sluice::detail
