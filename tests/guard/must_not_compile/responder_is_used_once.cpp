// A Responder is one right to answer: it moves and never copies, and splitting uses it up visibly.
// expect 1: deleted
// expect 2: discards qualifiers|cannot be (overloaded|bound)|passing|no matching|rvalue|expects an rvalue
#include <utility>

#include <sluice/handler.hpp>

void handle(const sluice::Request&, sluice::Responder responder) {
#if !defined(MISUSE)
  sluice::Responder mine = std::move(responder);
  auto halves = std::move(mine).split();
  (void)halves;
#elif MISUSE == 1
  sluice::Responder mine = responder;
#elif MISUSE == 2
  auto halves = responder.split();
#endif
}
