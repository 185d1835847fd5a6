// verbs.hpp: what sluice-load does once it knows what is wanted: run, sweep, search, report, compare.
// In: a Command. Out: tables on stdout, progress and problems on stderr, files, and the code for the shell.
// Thread: the caller's, for as long as it takes. Must never start a load before it knows that its files can be written.
#pragma once

#include <functional>

#include "load/tool/cli.hpp"

namespace sluice::bench {

/// Does it. `interrupted`: asked about ten times a second; once true, what was measured so far is put out.
int execute(Command command, std::function<bool()> interrupted);

}  // namespace sluice::bench
