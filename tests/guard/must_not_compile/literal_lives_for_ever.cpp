// A Literal is never copied, so that only constants may become one.
// expect 1: constant expression|consteval
#include <sluice/message.hpp>

sluice::Literal text() {
#ifndef MISUSE
  return "always there";
#else
  char buffer[8] = "gone";
  buffer[0] = 'd';
  return buffer;
#endif
}
