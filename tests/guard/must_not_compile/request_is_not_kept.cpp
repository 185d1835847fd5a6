// A Request is a view of bytes that end with its exchange: it can be neither copied nor moved out of the handler.
// expect 1: deleted
// expect 2: deleted
#include <optional>
#include <utility>

#include <sluice/message.hpp>

void handle(const sluice::Request& request) {
#if !defined(MISUSE)
  sluice::OwnedRequest kept = request.to_owned();
#elif MISUSE == 1
  sluice::Request kept = request;
#elif MISUSE == 2
  sluice::Request kept = std::move(const_cast<sluice::Request&>(request));
#endif
  (void)kept;
}
