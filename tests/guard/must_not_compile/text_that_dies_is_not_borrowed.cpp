// A response points at literals only. A local array decays to one for nobody: it is refused, a view of it is copied.
// expect 1: constant expression|consteval
// expect 2: constant expression|consteval
// expect 3: constant expression|consteval
// expect 4: constant expression|consteval
// expect 5: convert|no matching|no known conversion
#include <string_view>

#include <sluice/message.hpp>

sluice::Response answer(std::string_view type) {
  char local[6] = "hello";
  local[0] = 'H';
  sluice::Response response;
#if !defined(MISUSE)
  response.body(std::string_view{local}).content_type("text/plain").header("X-Type", type);
  return sluice::text(static_cast<const char*>(local));
#elif MISUSE == 1
  return sluice::text(local);
#elif MISUSE == 2
  return sluice::json(local);
#elif MISUSE == 3
  response.body(local);
#elif MISUSE == 4
  response.content_type(local);
#elif MISUSE == 5
  response.content_type(type);
#endif
  return response;
}
