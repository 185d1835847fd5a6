// What outlives the handler takes a copy of the bytes, never the Request itself.
// expect 1: deleted
// expect 2: deleted
// expect 3: deleted|no matching|construct
// expect 4: no matching
#include <utility>
#include <vector>

#include <sluice/handler.hpp>

auto later(const sluice::Request& request) {
#if !defined(MISUSE)
  return [owned = request.to_owned()] { return owned.body.size(); };
#elif MISUSE == 1
  return [request] { return request.body().size(); };
#elif MISUSE == 2
  return [kept = request] { return kept.body().size(); };
#elif MISUSE == 3
  std::vector<sluice::Request> kept;
  kept.emplace_back(request);
  return kept;
#elif MISUSE == 4
  return std::pair<sluice::Request, int>{request, 1};
#endif
}

void use(const sluice::Request& request) { (void)later(request); }
