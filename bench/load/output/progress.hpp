// progress.hpp: what is shown while a load runs: one line that renews itself, or one JSON object a line.
// In: Progress, lines about stages. Out: bytes to a terminal's descriptor, or text.
// Thread: one at a time. Must never leave a half-drawn line behind, nor write to anything but its descriptor.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <sluice/bench.hpp>

namespace sluice::bench {

/// The line, not longer than `columns`; a bar if there is room for one.
std::string progress_text(const Progress& progress, std::size_t columns);

/// The last line of a terminal. What is written to the terminal by others while it is drawn mixes with it: erase() first.
class ProgressLine {
 public:
  /// `fd`: a terminal's; not closed here. On anything else nothing is drawn.
  explicit ProgressLine(int fd);
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  ~ProgressLine() { erase(); }

  /// Whether there is a terminal.
  bool active() const noexcept { return active_; }
  /// Draws it anew.
  void show(const Progress& progress);
  /// A line that stays, above this one.
  void note(std::string_view text);
  void erase();

 private:
  std::size_t columns() const noexcept;
  void write(std::string_view bytes) const noexcept;

  int fd_;
  bool active_;
  std::string shown_{};
};

/// {"event":"progress","at_s":...,"of_s":...,"ok":...,"refused":...,"failed":...,"outstanding":...} and a line end.
std::string progress_json(const Progress& progress);
/// {"event":"stage","text":...} and a line end.
std::string stage_json(std::string_view text);

}  // namespace sluice::bench
