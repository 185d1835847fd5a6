// Near misses of a handler's signature are refused when it is registered, not understood as something else.
// expect 1: constraint|no matching|convert
// expect 2: constraint|no matching|convert
// expect 3: constraint|no matching|convert
// expect 4: constraint|no matching|convert
// expect 5: constraint|no matching|convert
// expect 6: constraint|no matching|convert
// expect 7: constraint|no matching|convert
#include <string>

#include <sluice/router.hpp>

using sluice::Raise, sluice::Request, sluice::Respond, sluice::Responder, sluice::Response;

void build(sluice::Router& router) {
#if !defined(MISUSE)
  router.get("/1", [](const Request&) { return Response{204}; });
  router.get("/2", [](const Request&, Responder) {});
  router.get("/3", [](const Request&, Respond, Raise) {});
#elif MISUSE == 1
  router.get("/", [](const Request&) {});
#elif MISUSE == 2
  router.get("/", [](const Request&) { return 200; });
#elif MISUSE == 3
  router.get("/", [](Request&) { return Response{204}; });
#elif MISUSE == 4
  router.get("/", [] { return Response{204}; });
#elif MISUSE == 5
  router.get("/", [](const Request&, Responder&) {});
#elif MISUSE == 6
  router.get("/", [](const Request&, Raise, Respond) {});
#elif MISUSE == 7
  router.get("/", [](const Request&) { return std::string{"text"}; });
#endif
}
