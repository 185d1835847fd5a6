// fold.cpp: the text of `perf script` becomes folded stacks. Pure; any thread.
// A sample is a line "comm pid[/tid] [cpu] time: period event:", its frames innermost first, and an empty line.
#include <algorithm>
#include <cctype>
#include <unordered_map>

#include "load/tool/profile.hpp"

namespace sluice::bench {
namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(blanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(blanks) - begin + 1);
}

bool all_of(std::string_view text, std::string_view allowed) {
  return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

/// The last word of `text`, which is taken off it.
std::string_view take_last_word(std::string_view& text) {
  text = trimmed(text);
  const std::size_t blank = text.find_last_of(blanks);
  const std::string_view word = blank == std::string_view::npos ? text : text.substr(blank + 1);
  text = trimmed(text.substr(0, text.size() - word.size()));
  return word;
}

/// The command's name, which may hold blanks and digits itself: what is before "pid[/tid] [cpu] time:".
std::string_view command_of(std::string_view line) {
  std::size_t colon = line.find(':');
  for (; colon != std::string_view::npos; colon = line.find(':', colon + 1)) {
    std::string_view rest = line.substr(0, colon);
    const std::string_view time = take_last_word(rest);
    if (!all_of(time, "0123456789.") || time.find('.') == std::string_view::npos) continue;
    std::string_view id = take_last_word(rest);
    if (id.starts_with('[')) id = take_last_word(rest);
    if (all_of(id, "0123456789/") && !rest.empty()) return rest;
  }
  return {};
}

/// "55d0 symbol(int)+0x1f (/usr/bin/server)" -> "symbol(int)". Frames are joined by semicolons, so they get none.
std::string function_of(std::string_view line) {
  line = trimmed(line);
  line = trimmed(line.substr(std::min(line.find_first_of(blanks), line.size())));
  if (const std::size_t file = line.rfind(" ("); file != std::string_view::npos && line.ends_with(')')) {
    line = trimmed(line.substr(0, file));
  }
  if (const std::size_t offset = line.rfind("+0x");
      offset != std::string_view::npos && all_of(line.substr(offset + 3), "0123456789abcdef")) {
    line = line.substr(0, offset);
  }
  std::string name{line.empty() ? "[unknown]" : line};
  std::replace(name.begin(), name.end(), ';', ':');
  return name;
}

class Folder {
 public:
  explicit Folder(std::size_t stacks_max) : stacks_max_{stacks_max} {}

  void line(std::string_view text) {
    if (trimmed(text).empty()) {
      end_sample();
    } else if (command_.empty()) {
      command_ = command_of(text);  // what is no sample, as a comment or a message of perf, stays without one
      std::replace(command_.begin(), command_.end(), ';', ':');
    } else {
      frames_.push_back(function_of(text));
    }
  }

  FoldedStacks take() {
    end_sample();
    FoldedStacks stacks{counts_.begin(), counts_.end()};
    std::sort(stacks.begin(), stacks.end(), [](const auto& left, const auto& right) {
      return left.second != right.second ? left.second > right.second : left.first < right.first;
    });
    return stacks;
  }

 private:
  void end_sample() {
    if (command_.empty()) return;
    std::string stack = command_;
    for (auto frame = frames_.rbegin(); frame != frames_.rend(); ++frame) stack += ';' + *frame;
    if (const auto found = counts_.find(stack); found != counts_.end()) {
      ++found->second;
    } else if (counts_.size() < stacks_max_) {
      counts_.emplace(std::move(stack), 1);
    } else {
      ++counts_[command_ + ";[other stacks]"];
    }
    command_.clear();
    frames_.clear();
  }

  std::size_t stacks_max_;
  std::string command_{};
  std::vector<std::string> frames_{};
  std::unordered_map<std::string, std::uint64_t> counts_{};
};

}  // namespace

FoldedStacks fold(std::string_view perf_script_output, std::size_t stacks_max) {
  Folder folder{stacks_max};
  while (!perf_script_output.empty()) {
    const std::size_t end = std::min(perf_script_output.find('\n'), perf_script_output.size());
    folder.line(perf_script_output.substr(0, end));
    perf_script_output.remove_prefix(std::min(end + 1, perf_script_output.size()));
  }
  return folder.take();
}

}  // namespace sluice::bench
