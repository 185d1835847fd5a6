#include "admission/pool.hpp"

namespace sluice::admission {
namespace {

// Which pool the calling thread works for: an identity to compare with, never a way to reach it.
[[gnu::tls_model("initial-exec")]] constinit thread_local const Pool* working_for = nullptr;

// The seat of a worker whose host parks handlers.
struct Place {
  WorkerHost* host = nullptr;
  int worker = -1;
};
[[gnu::tls_model("initial-exec")]] constinit thread_local Place parked_at{};

}  // namespace

ThreadHost::ThreadHost(unsigned workers) {
  seats_.reserve(workers);
  for (unsigned i = 0; i < workers; ++i) seats_.push_back(std::make_unique<Seat>());
}

void ThreadHost::spawn(int worker, std::function<void()> body) {
  seats_[static_cast<std::size_t>(worker)]->thread = std::thread{std::move(body)};
}

void ThreadHost::park(int worker) noexcept { seats_[static_cast<std::size_t>(worker)]->token.acquire(); }

void ThreadHost::unpark(int worker) noexcept { seats_[static_cast<std::size_t>(worker)]->token.release(); }

void ThreadHost::join() noexcept {
  for (auto& seat : seats_) {
    if (seat->thread.joinable()) seat->thread.join();
  }
}

const base::Clock& handler_clock() noexcept {
  return parked_at.host == nullptr ? base::system_clock() : parked_at.host->handler_clock();
}

Parking::Parking() noexcept : host_{parked_at.host}, worker_{parked_at.worker} {}

void Parking::wait() noexcept {
  if (host_ != nullptr) host_->park_handler(worker_);
  else token_.acquire();
}

void Parking::wait_until(base::TimePoint until) noexcept {
  if (host_ != nullptr) host_->park_handler_until(worker_, until);
  else if (until == base::never) token_.acquire();
  else static_cast<void>(token_.try_acquire_until(until));
}

void Parking::wake() noexcept {
  if (host_ != nullptr) host_->unpark(worker_);
  else token_.release();
}

Pool::Pool(const base::Clock& clock, unsigned workers, WorkerHost& host)
    : workers_{workers}, host_{host}, group_{clock, workers} {}

void Pool::start() {
  started_ = true;
  for (unsigned i = 0; i < workers_; ++i) {
    host_.spawn(static_cast<int>(i), [this, i] { work(static_cast<int>(i)); });
  }
}

void Pool::close() noexcept {
  for (const int worker : group_.close()) host_.unpark(worker);
}

void Pool::join() noexcept {
  if (!started_) return;
  close();
  host_.join();
  started_ = false;
}

void Pool::unpark(int worker) noexcept {
  if (worker != LaneGroup::no_worker) host_.unpark(worker);
}

bool Pool::on_worker_thread() const noexcept { return working_for == this; }

void Pool::work(int worker) noexcept {
  working_for = this;
  parked_at = host_.parks_handlers() ? Place{&host_, worker} : Place{};
  Job* job = nullptr;
  for (;;) {
    if (job == nullptr) {
      const LaneGroup::Next next = group_.next(worker);
      if (next.over) return;
      if (next.job == nullptr) {
        host_.park(worker);
        continue;
      }
      job = next.job;
    }
    // Everything the release needs is read before run(): after it the job may be gone.
    Lane& lane = *job->lane;
    const Ticket ticket = job->ticket;
    const Job::After after = job->run();
    Job* next = nullptr;
    if (after.release) next = group_.release(lane, ticket, true).next;
    if (after.post) job->send_home();
    job = next;
  }
}

}  // namespace sluice::admission
