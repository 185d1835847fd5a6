// message_vectors.hpp: malformed, odd and legal messages, each with the one outcome wanted of this library.
// Compiled from what llhttp, other servers and RFC 9112 disagree about. Data only: the tables, the mutations and whole
// servers are tested with it.
#pragma once

#include <string>
#include <vector>

namespace sluice::http::test {

struct Vector {
  std::string name;
  std::string bytes;
  std::string wanted;  // for each message "ok" (":" and its body, if any) or its refusal; then "more" or "closed"
};

std::vector<Vector> request_line_vectors();
std::vector<Vector> target_vectors();
std::vector<Vector> host_vectors();
std::vector<Vector> field_vectors();
std::vector<Vector> framing_vectors();
std::vector<Vector> chunked_vectors();
std::vector<Vector> connection_vectors();
std::vector<Vector> all_vectors();

}  // namespace sluice::http::test
