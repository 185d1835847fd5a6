// The middle of Connection: a complete request goes to its handler, into a queue, or is refused.
#include "server/connection.hpp"
#include "server/shard.hpp"

namespace sluice::detail {

using admission::Claim;

bool Connection::expectation_met(std::span<char> behind) {
  Exchange& x = *exchange_;
  // The gate comes before the 100: a client that will be refused keeps its body.
  const admission::ArrivalView arrival = arrival_view();
  const auto reason = needs_permit(x.route->handler.runs())
                          ? admission::judge(x.route->lane->view(x.budget, arrival.criticality), arrival)
                          : admission::judge(arrival);
  if (reason) {
    shard_->tally(*x.route->lane).received.add_owned();
    shed(*reason, true);
    return false;
  }
  if (x.route->options.on_expect && expectation_refused()) return false;
  if (!behind.empty()) {  // it did not wait for us
    x.head.expect_continue = false;
    return true;
  }
  if (x.route->options.stream_body) {  // its reader decides
    x.continue_owed = true;
    return true;
  }
  out.append(shard_->blocks(), "HTTP/1.1 100 Continue\r\n\r\n");
  shard_->loop().touch(*this);
  return true;
}

bool Connection::expectation_refused() {
  Exchange& x = *exchange_;
  switch (x.ask_about_expectation()) {
    case Exchange::Expectation::met: return false;
    case Exchange::Expectation::refused: {
      shard_->counts().refused_requests.add_owned();
      x.head.close = true;  // whether the body comes all the same is not to be known
      Response* const response = &x.refusal();
      write_response(*response);
      shard_->free(x);
      return true;
    }
    case Exchange::Expectation::threw: answer_early(500); return true;
  }
  return false;
}

admission::ArrivalView Connection::arrival_view() const noexcept {
  admission::ArrivalView arrival;
  arrival.draining = shard_->draining();
  arrival.memory_tight = shard_->memory_tight();
  arrival.connection_over_share = in_flight_requests >= shard_->limits().connection_in_flight_max;
  arrival.criticality = exchange_->route->options.criticality;
  arrival.now = shard_->now();
  return arrival;
}

void Connection::dispatch() {
  Exchange& x = *exchange_;
  Route& route = *x.route;
  if (!x.own_body.empty()) x.body = {x.own_body.data(), x.own_body.size()};
  state_ = State::handling;
  x.deadline = shard_->now() + x.budget;
  x.lane = route.lane;
  x.tag = x.match.route;
  admission::Tally& tally = shard_->tally(*route.lane);
  tally.received.add_owned();
  const admission::ArrivalView arrival = arrival_view();
  for_exempt_ = arrival.criticality == Criticality::exempt;
  if (route.rate_limiter != nullptr && !admission::judge(arrival) && !route.rate_limiter->take(shard_->now())) {
    shed(ShedReason::rate_limited, false);
    return;
  }
  if (needs_permit(route.handler.runs())) {
    if (route.handler.answers_first() && answered_first(arrival)) return;
    admit(arrival);
    return;
  }
  if (const auto reason = admission::judge(arrival)) {
    shed(*reason, false);
    return;
  }
  if (route.in_place) {
    shard_->run_in_place(x);
    answer_claimed(x);
    shard_->free(x);
    return;
  }
  tally.inlined.add_owned();
  tally.started.add_owned();
  tally.running.add_owned();
  x.claim.store(Claim::running, std::memory_order_relaxed);
  x.own_bytes(fd);
  run_on_loop();
}

bool Connection::answered_first(const admission::ArrivalView& arrival) {
  Exchange& x = *exchange_;
  if (x.inflow != nullptr || admission::judge(arrival) || !x.answer_first()) return false;
  answer_claimed(x);
  shard_->free(x);
  return true;
}

void Connection::admit(const admission::ArrivalView& arrival) {
  Exchange& x = *exchange_;
  Route& route = *x.route;
  // A look without the lock first: far above capacity most arrivals end here.
  if (const auto reason = admission::judge(route.lane->view(x.budget, arrival.criticality), arrival)) {
    shed(*reason, false);
    return;
  }
  x.own_bytes(fd);
  if (route.lane->counts_clients()) x.client = client_of(x);
  ++in_flight_requests;
  x.counted = true;
  const auto admission = route.lane->group()->admit(x, *route.lane, arrival, x.budget, shard_->now());
  switch (admission.entry) {
    case admission::LaneGroup::Entry::shed:
      --in_flight_requests;
      x.counted = false;
      shed(admission.reason, false);
      return;
    case admission::LaneGroup::Entry::start: run_on_loop(); return;
    case admission::LaneGroup::Entry::queued:
      if (route.pool != nullptr) route.pool->unpark(admission.wake);
      arm();
      return;
  }
}

std::uint64_t Connection::client_of(Exchange& x) const {
  const Core& core = shard_->core();
  std::string client;
  if (core.options().client_key) {
    shard_->guard().enter(*x.route);
    try {
      client = core.options().client_key(x.request());
      shard_->guard().leave();
    } catch (...) {
      shard_->guard().leave();
      client.clear();
      core.log(LogEvent::Level::error, "client_key_threw", x.route->pattern, {});
    }
  }
  if (!client.empty()) return core.client_hash(client);
  const std::string peer = x.peer().address;
  return core.client_hash(std::string_view{peer}.substr(0, peer.rfind(':')));
}

void Connection::run_on_loop() {
  Exchange& x = *exchange_;
  const auto end = shard_->run_frame(x);
  if (!end.deliver) {  // it answers later
    arm();
    return;
  }
  answer_claimed(x);
  if (end.free) shard_->free(x);
}

void Connection::deliver(Exchange& x) {
  SLUICE_ASSERT(exchange_ == &x);
  answer_claimed(x);
}

}  // namespace sluice::detail
