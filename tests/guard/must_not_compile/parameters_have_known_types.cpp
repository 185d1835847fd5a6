// A parameter reads as a number, bool or std::string: nothing that could dangle or that reads in two ways.
// expect 1: constraint
// expect 2: constraint
// expect 3: constraint
// expect 4: constraint
// expect 5: constraint
#include <string>
#include <string_view>

#include <sluice/message.hpp>

void handle(const sluice::Request& request) {
#if !defined(MISUSE)
  (void)request.param<unsigned>("id");
  (void)request.query<std::string>("name");
  (void)request.try_query<bool>("flag");
#elif MISUSE == 1
  (void)request.param<char>("id");
#elif MISUSE == 2
  (void)request.query<std::string_view>("name");
#elif MISUSE == 3
  (void)request.try_param<const char*>("name");
#elif MISUSE == 4
  (void)request.param<wchar_t>("id");
#elif MISUSE == 5
  (void)request.param<const int>("id");
#endif
}
