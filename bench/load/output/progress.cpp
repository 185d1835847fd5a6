// progress.cpp: draws the progress line. One thread; a terminal that does not take the bytes is left alone.
#include "load/output/progress.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>

#include <sluice/extra/json.hpp>

#include "load/output/config_json.hpp"
#include "load/output/text_parts.hpp"

namespace sluice::bench {
namespace {

constexpr std::string_view erase_line = "\r\x1b[K";

std::string one_decimal(double value) {
  std::array<char, 400> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value, std::chars_format::fixed, 1);
  return {digits.data(), end.ptr};
}

std::string bar(double share, std::size_t width) {
  const auto full = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  return '[' + std::string(full, '=') + std::string(width - full, ' ') + "] ";
}

}  // namespace

std::string progress_text(const Progress& progress, std::size_t columns) {
  const bool measuring = progress.at_s >= 0;
  std::string text = measuring ? one_decimal(progress.at_s) + " of " + one_decimal(progress.of_s) + " s"
                               : "starting, " + one_decimal(-progress.at_s) + " s to go";
  text += "  2xx " + std::to_string(progress.ok);
  if (progress.refused != 0) text += "  refused " + std::to_string(progress.refused);
  if (progress.failed != 0) text += "  failed " + std::to_string(progress.failed);
  text += "  waiting " + std::to_string(progress.outstanding);
  constexpr std::size_t bar_width = 20, bar_columns = bar_width + 3;
  if (measuring && progress.of_s > 0 && text.size() + bar_columns <= columns) {
    text.insert(0, bar(progress.at_s / progress.of_s, bar_width));
  }
  if (text.size() > columns) text.resize(columns);
  return text;
}

ProgressLine::ProgressLine(int fd) : fd_{fd}, active_{::isatty(fd) == 1} {}

std::size_t ProgressLine::columns() const noexcept {
  ::winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) != 0 || size.ws_col < 2) return 79;
  return size.ws_col - std::size_t{1};  // the cursor needs one, or the line would break
}

void ProgressLine::write(std::string_view bytes) const noexcept {
  while (!bytes.empty()) {
    const ::ssize_t count = ::write(fd_, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void ProgressLine::show(const Progress& progress) {
  if (!active_) return;
  std::string text = progress_text(progress, columns());
  if (text == shown_) return;
  write(std::string{erase_line} + text);
  shown_ = std::move(text);
}

void ProgressLine::note(std::string_view text) {
  if (!active_) return;
  erase();
  write(printable(text) + '\n');
}

void ProgressLine::erase() {
  if (shown_.empty()) return;
  write(erase_line);
  shown_.clear();
}

std::string progress_json(const Progress& progress) {
  JsonWriter out;
  out.begin_object().member("event", "progress").member("at_s", rounded_time(progress.at_s));
  out.member("of_s", rounded_time(progress.of_s)).member("ok", progress.ok).member("refused", progress.refused);
  out.member("failed", progress.failed).member("outstanding", progress.outstanding).end_object();
  return std::move(out).take() + '\n';
}

std::string stage_json(std::string_view text) {
  JsonWriter out;
  out.begin_object().member("event", "stage").member("text", text).end_object();
  return std::move(out).take() + '\n';
}

}  // namespace sluice::bench
