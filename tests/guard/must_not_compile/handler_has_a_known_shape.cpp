// What is registered as a handler must have one of the known shapes; what returns something else is refused.
#include <sluice/router.hpp>

#ifdef MISUSE
#define RESULT void*
#else
#define RESULT sluice::Response
#endif

RESULT answer(const sluice::Request&);

void build(sluice::Router& router) { router.get("/", answer); }
