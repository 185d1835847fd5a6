// Respond and Raise are rights to answer: they move, and what holds one and calls it must be mutable.
// expect 1: deleted
// expect 2: deleted
// expect 3: deleted
// expect 4: discards qualifiers|no match|no matching|not marked const
// expect 5: private
#include <exception>
#include <utility>

#include <sluice/handler.hpp>

using sluice::Problem, sluice::Raise, sluice::Respond, sluice::Responder;

void handle(Respond respond, Raise raise) {
#if !defined(MISUSE)
  auto answer = [respond = std::move(respond)]() mutable { respond(sluice::empty(204)); };
  auto fail = [raise = std::move(raise)]() mutable { raise(Problem{409}); };
  answer();
  fail();
#elif MISUSE == 1
  Respond twice = respond;
#elif MISUSE == 2
  Raise twice = raise;
#elif MISUSE == 3
  auto answer = [respond] { (void)respond; };
#elif MISUSE == 4
  auto answer = [respond = std::move(respond)] { respond(sluice::empty(204)); };
#elif MISUSE == 5
  Responder made_up{static_cast<sluice::detail::Exchange*>(nullptr)};
#endif
}
