// cli.hpp: the command line of sluice-sim. In: words. Out: a question and where its answer goes, or a text and an exit
// code. Pure.
#pragma once

#include <expected>
#include <string>
#include <vector>

#include "sim/tool/study.hpp"

namespace sluice::sim {

struct Command {
  Question question{};
  std::string json{}, html{};  // files' names
  bool color = false;          // set by main
};

/// The program ends here: with what, and what it says.
struct Ending {
  int code = 2;
  std::string out{}, err{};
};

[[nodiscard]] std::expected<Command, Ending> parse_command(const std::vector<std::string>& words);

/// Asks the question and writes the files. `out` and `err` are for the terminal.
Ending execute(const Command& command);

}  // namespace sluice::sim
