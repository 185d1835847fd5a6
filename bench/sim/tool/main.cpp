// main.cpp: sluice-sim. Arguments in, exit code out; what lies between is in cli.hpp.
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "sim/tool/cli.hpp"

int main(int count, char** arguments) try {
  using namespace sluice::sim;
  auto command = parse_command(std::vector<std::string>{arguments + (count > 0 ? 1 : 0), arguments + count});
  if (command) command->color = ::isatty(STDOUT_FILENO) == 1;
  const Ending ending = command ? execute(*command) : command.error();
  std::fputs(ending.out.c_str(), stdout);
  std::fputs(ending.err.c_str(), stderr);
  return ending.code;
} catch (const std::exception& error) {
  std::fprintf(stderr, "sluice-sim: %s\n", error.what());
  return 1;
}
