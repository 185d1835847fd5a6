#include <cstdio>

#include "server/connection.hpp"
#include "support/chaos.hpp"

namespace sluice::sim {
namespace {

using State = detail::Connection::State;
using net::SimFault;
using net::SimOp;

constexpr std::array<const char*, ChaosStatistics::state_count> state_names{
    "idle",     "head",    "body",    "discard",   "handling", "streaming",
    "refusing", "resting", "closing", "lingering", "closed"};
constexpr std::array ops{SimOp::read, SimOp::write};
constexpr std::array kinds{SimFault::partial, SimFault::again, SimFault::reset, SimFault::stall};

// What no run can be asked to meet, and why.
bool reachable(State state, SimOp op) noexcept {
  if (state == State::closed) return false;                             // nothing is read or written any more
  if (state == State::refusing || state == State::resting) return false;  // too rare here: ladder_test.cpp
  if (state == State::lingering && op == SimOp::write) return false;  // our sending side is closed
  return true;
}

}  // namespace

std::size_t ChaosStatistics::column(SimOp op, SimFault kind) noexcept {
  return static_cast<std::size_t>(op) * net::sim_fault_count + static_cast<std::size_t>(kind);
}

std::string ChaosStatistics::table() const {
  std::string all = "runs " + std::to_string(runs) + ", requests " + std::to_string(requests) + ", faults " +
                    std::to_string(faults) + "\nanswers:";
  for (std::size_t status = 0; status < answers.size(); ++status) {
    if (answers[status] != 0) all += " " + std::to_string(status) + "=" + std::to_string(answers[status]);
  }
  all += "\naccept: again=" + std::to_string(met_accepting[static_cast<std::size_t>(SimFault::again)]) +
         " no descriptors=" + std::to_string(met_accepting[static_cast<std::size_t>(SimFault::no_descriptors)]) +
         "\nstate      |    read: part   again   reset   stall |   write: part   again   reset   stall\n";
  std::array<char, 40> cell;
  for (std::size_t state = 0; state < state_count; ++state) {
    std::snprintf(cell.data(), cell.size(), "%-11s", state_names[state]);
    all += cell.data();
    for (const SimOp op : ops) {
      all += "|      ";
      for (const SimFault kind : kinds) {
        std::snprintf(cell.data(), cell.size(), "%8llu", static_cast<unsigned long long>(met[state][column(op, kind)]));
        all += reachable(static_cast<State>(state), op) || met[state][column(op, kind)] != 0 ? cell.data() : "       -";
      }
      all += " ";
    }
    all += "\n";
  }
  return all;
}

std::string ChaosStatistics::never_met() const {
  std::string all;
  for (std::size_t state = 0; state < state_count; ++state) {
    for (const SimOp op : ops) {
      for (const SimFault kind : kinds) {
        if (!reachable(static_cast<State>(state), op) || met[state][column(op, kind)] != 0) continue;
        all += std::string{state_names[state]} + (op == SimOp::read ? " read " : " write ") +
               std::to_string(static_cast<int>(kind)) + "; ";
      }
    }
  }
  for (const SimFault kind : {SimFault::again, SimFault::no_descriptors}) {
    if (met_accepting[static_cast<std::size_t>(kind)] == 0)
      all += "accept " + std::to_string(static_cast<int>(kind)) + "; ";
  }
  return all;
}

}  // namespace sluice::sim
