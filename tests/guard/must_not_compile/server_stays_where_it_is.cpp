// Loops and handlers point into a Server: it neither copies nor moves.
// expect 1: deleted
// expect 2: deleted
#include <utility>

#include <sluice/server.hpp>

void use(sluice::Server& server) {
#if !defined(MISUSE)
  sluice::Server& mine = server;
#elif MISUSE == 1
  sluice::Server mine{server};
#elif MISUSE == 2
  sluice::Server mine{std::move(server)};
#endif
  (void)mine;
}
