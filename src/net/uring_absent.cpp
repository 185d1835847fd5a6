// In place of uring_ring.cpp where the library is built without liburing: there never is a ring.
#include "net/uring_ring.hpp"

#include <utility>

namespace sluice::net {

struct UringRing::State {};

std::expected<UringRing, Error> UringRing::open(const UringOptions&) {
  return std::unexpected{Error{0, "io_uring is not part of this build"}};
}

UringRing::UringRing(std::unique_ptr<State> state) noexcept : state_{std::move(state)} {}
UringRing::UringRing(UringRing&& other) noexcept = default;
UringRing& UringRing::operator=(UringRing&& other) noexcept = default;
UringRing::~UringRing() = default;

bool UringRing::deferred() const noexcept { return false; }
bool UringRing::skips_success() const noexcept { return false; }
unsigned UringRing::completions() const noexcept { return 0; }
unsigned UringRing::buffers() const noexcept { return 0; }
bool UringRing::started() const noexcept { return false; }
int UringRing::start() noexcept { return -1; }
bool UringRing::accept(int, std::uint64_t) noexcept { return false; }
bool UringRing::receive(int, std::uint64_t) noexcept { return false; }
bool UringRing::send(int, const void*, std::size_t, std::uint64_t) noexcept { return false; }
bool UringRing::poll(int, unsigned, std::uint64_t) noexcept { return false; }
bool UringRing::cancel(std::uint64_t, std::uint64_t) noexcept { return false; }
unsigned UringRing::unsubmitted() const noexcept { return 0; }
void UringRing::look() noexcept {}
void UringRing::wait(base::Duration) noexcept {}
unsigned UringRing::take(std::span<UringEvent>) noexcept { return 0; }
unsigned UringRing::ready() const noexcept { return 0; }
bool UringRing::overflowed() const noexcept { return false; }
char* UringRing::buffer(std::uint16_t) noexcept { return nullptr; }
void UringRing::give(std::uint16_t) noexcept {}
void UringRing::return_buffers() noexcept {}

}  // namespace sluice::net
