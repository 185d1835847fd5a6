// problem_json.cpp: a Problem as application/problem+json. Any thread; pure.
#include "server/problem_json.hpp"

#include "server/json_text.hpp"

namespace sluice::detail {

Response render_problem(const Problem& problem) {
  std::string body;
  body.reserve(64 + problem.type().size() + problem.title().size() + problem.detail().size());
  body += "{\"type\":";
  append_json_string(body, problem.type().empty() ? std::string_view{"about:blank"} : problem.type());
  body += ",\"title\":";
  append_json_string(body, problem.title());
  body += ",\"status\":";
  body += std::to_string(problem.status());
  if (!problem.detail().empty()) {
    body += ",\"detail\":";
    append_json_string(body, problem.detail());
  }
  body += '}';
  return Response{problem.status()}.content_type("application/problem+json").body(std::move(body));
}

}  // namespace sluice::detail
