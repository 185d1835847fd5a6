// Code that a policy calls must take its attempt, which says how long it has; a permit is one right and can't be
// doubled; a dependency outlives its policies; a fallback gives what the call gives; a result is looked at.
// expect 1: constraint|no matching
// expect 2: deleted
// expect 3: cannot bind|non-const lvalue reference
// expect 4: constraint|no matching
// expect 5: nodiscard
#include <string>
#include <utility>

#include <sluice/extra/policy.hpp>

#pragma GCC diagnostic error "-Wunused-result"

using namespace sluice;

std::string ask(Dependency& service, const CallBudget& budget) {
  const Policy policy{.dependency = service};
  Bulkhead::Permit permit;
#if !defined(MISUSE)
  Bulkhead::Permit mine = std::move(permit);
  const auto call = [](const Attempt& attempt) { return std::to_string(attempt.number()); };
  if (auto result = with_policy(policy, budget, call)) return *result;
  return with_policy(policy, budget, call, [](const PolicyError&) { return "older"; });
#elif MISUSE == 1
  return with_policy(policy, budget, [] { return std::string{}; }).value();
#elif MISUSE == 2
  Bulkhead::Permit mine = permit;
  return {};
#elif MISUSE == 3
  const Policy short_lived{.dependency = Dependency{{.name = "service"}}};
  return {};
#elif MISUSE == 4
  return with_policy(policy, budget, [](const Attempt&) { return std::string{}; }, [](const PolicyError&) {});
#elif MISUSE == 5
  with_policy(policy, budget, [](const Attempt&) { return std::string{}; });
  return {};
#endif
}
