// JsonWriter takes no value that could be written in two ways, and no string that ends before it does.
// expect 1: ambiguous
// expect 2: no matching|no known conversion
// expect 3: deleted
// expect 4: rvalue|lvalue|discards qualifiers|passing|expects
// expect 5: non-const lvalue|cannot bind|no matching
#include <string>
#include <utility>

#include <sluice/extra/json.hpp>

std::string document(const int* pointer) {
  sluice::JsonWriter out;
#if !defined(MISUSE)
  out.begin_array().value(std::string(1, 'a')).value(*pointer).end_array();
#elif MISUSE == 1
  out.value('a');
#elif MISUSE == 2
  out.value(pointer);
#elif MISUSE == 3
  sluice::JsonWriter twice = out;
#elif MISUSE == 4
  return out.take();
#elif MISUSE == 5
  sluice::JsonWriter other{std::string{"["}};
#endif
  return std::move(out).take();
}
