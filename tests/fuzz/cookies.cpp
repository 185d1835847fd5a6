// cookies.cpp: any Cookie field. Each pair that is read can be set again, and reads the same; nothing else can be set.
#include <sluice/extra/cookies.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "base/assert.hpp"

namespace {

using namespace sluice;

/// Whatever SetCookie takes, it writes one field value whose attributes are its own.
void check_set(std::string_view name, std::string_view value, std::string_view path) {
  try {
    SetCookie cookie{name, value};
    cookie.secure().path(path);
    const std::string text = cookie.text();
    Response response;
    cookie.add_to(response);
    SLUICE_ASSERT(response.find_header("Set-Cookie") == text);
    const std::string pair = std::string{name} + "=" + std::string{value};
    SLUICE_ASSERT(text.starts_with(pair + "; "));
    const Cookies read{std::string_view{text}.substr(0, text.find(';'))};
    SLUICE_ASSERT(read.find(name) == value);
    std::size_t semicolons = 0;
    for (const char c : text) semicolons += c == ';' ? 1 : 0;
    SLUICE_ASSERT(semicolons == (path.empty() ? 3 : 4));
  } catch (const std::invalid_argument& refusal) {
    SLUICE_ASSERT(std::string_view{refusal.what()}.starts_with("SetCookie: "));
  }
}

void check_read(std::string_view field) {
  std::string again;
  std::size_t count = 0;
  for (const Cookie& cookie : Cookies{field}) {
    ++count;
    SLUICE_ASSERT(!cookie.name.empty() && Cookies{field}.find(cookie.name));
    SLUICE_ASSERT(cookie.name.data() >= field.data());
    SLUICE_ASSERT(cookie.value.data() + cookie.value.size() <= field.data() + field.size());
    if (cookie.name.size() + cookie.value.size() <= SetCookie::pair_bytes_max) {
      SLUICE_ASSERT((SetCookie{cookie.name, cookie.value}.secure().text().starts_with(cookie.name)));
    }
    again.append(again.empty() ? "" : "; ").append(cookie.name).append("=").append(cookie.value);
    if (count > 64) return;  // find() above makes it quadratic
  }
  std::string joined;
  for (const Cookie& cookie : Cookies{again}) {
    joined.append(joined.empty() ? "" : "; ").append(cookie.name).append("=").append(cookie.value);
  }
  SLUICE_ASSERT(joined == again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  check_read(text);
  const std::size_t first = text.find('\n');
  if (first == std::string_view::npos) return 0;
  const std::size_t second = std::min(text.find('\n', first + 1), text.size());
  check_set(text.substr(0, first), text.substr(first + 1, second - first - 1),
            text.substr(std::min(second + 1, text.size())));
  return 0;
}
