// compression.cpp: the middleware. It wraps nothing but the answer: an edit runs on the thread that gives it, before the
// head is written, and so sees the whole body.
#include <sluice/blocking.hpp>
#include <sluice/extra/compression.hpp>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <utility>

#include "extra/coding.hpp"
#include "extra/compression_rules.hpp"

namespace sluice {
namespace {

/// Exceptions leave the answer as it was or make it a 500, as those of every edit do.
void compress_answer(const detail::CompressionRules& rules, const Request& request, Response& answer) {
  const CompressionOptions& options = rules.options();
  const std::size_t size = answer.body().size();
  const std::size_t bytes_max =
      on_loop_thread() ? std::min(options.loop_bytes_max, options.bytes_max) : options.bytes_max;
  if (size == 0 || size < options.bytes_min || size > bytes_max || !rules.suits(answer)) return;
  detail::say_that_it_varies(answer);
  const std::optional<ContentCoding> coding = rules.choose(request);
  if (!coding) return;
  std::optional<std::string> encoded = detail::encode_smaller(*coding, options.level, answer.body());
  if (!encoded) return;
  detail::say_coding(answer, *coding);
  answer.body(*std::move(encoded));
}

}  // namespace

Middleware compress(CompressionOptions options) {
  auto rules = std::make_shared<const detail::CompressionRules>(std::move(options));
  if (!rules->any()) {
    throw std::logic_error{
        "compress(): none of the codings is available; build sluice with -DSLUICE_WITH_COMPRESSION=ON, which needs "
        "zlib (Debian: zlib1g-dev)"};
  }
  return [rules = std::move(rules)](Handler next) {
    return [next = std::move(next), rules](const Request& request, Responder responder) mutable {
      // Both outlive the edit: the route owns this handler, and the responder pins the request.
      const auto edit = [owned = rules.get(), &request](Response& answer) { compress_answer(*owned, request, answer); };
      next(request, std::move(responder).edit(edit));
    };
  };
}

}  // namespace sluice
