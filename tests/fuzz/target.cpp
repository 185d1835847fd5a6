// target.cpp: any bytes as a request target. What passes can't climb, hides no control byte and decodes; what is decoded
// and encoded again is the same.
#include "http/target.hpp"

#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.hpp"

namespace {

using namespace sluice::http;

void check_path(std::string_view raw) {
  std::string path;
  SLUICE_ASSERT(percent_decode(raw, path, false));
  for (const char c : path) SLUICE_ASSERT(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  for (std::string_view rest = path; !rest.empty();) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    SLUICE_ASSERT(segment != "." && segment != "..");
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
}

std::string encoded(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string all;
  for (const char c : text) {
    all += '%';
    all += digits[static_cast<unsigned char>(c) >> 4];
    all += digits[static_cast<unsigned char>(c) & 15];
  }
  return all;
}

void check_query(std::string_view raw) {
  QueryScan scan{raw};
  std::size_t bytes = 0;
  while (const auto pair = scan.next()) {
    bytes += pair->name.size() + pair->value.size();
    SLUICE_ASSERT(bytes <= raw.size());
    std::string name;
    if (percent_decode(pair->name, name, true)) SLUICE_ASSERT(matches(pair->name, name));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  for (const sluice::Method method : {sluice::Method::get, sluice::Method::options}) {
    const auto target = read_target(text, method);
    if (!target) continue;
    check_path(target->path);
    check_query(target->query);
    if (!target->authority.empty()) SLUICE_ASSERT(read_authority(target->authority).has_value());
  }
  check_query(text);
  std::string decoded;
  SLUICE_ASSERT(percent_decode(encoded(text), decoded, false) && decoded == text);
  if (const auto authority = read_authority(text)) SLUICE_ASSERT(!authority->host.empty());
  return 0;
}
