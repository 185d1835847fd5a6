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
    x.note_more();
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
      const Done done{*this, x};
      write_response(x.refusal());
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
  for_exempt_ = route.options.criticality == Criticality::exempt;
  const bool open = !shard_->draining() && !shard_->memory_tight() && route.rate_limiter == nullptr;
  if (open && route.in_place) [[likely]]
    serve_in_place(tally);
  else pass_gate(tally);
}

[[gnu::noinline]] void Connection::pass_gate(admission::Tally& tally) {
  Exchange& x = *exchange_;
  Route& route = *x.route;
  const admission::ArrivalView arrival = arrival_view();
  const std::optional<ShedReason> refused = admission::judge(arrival);
  if (route.rate_limiter != nullptr && !refused && !route.rate_limiter->take(shard_->now())) {
    shed(ShedReason::rate_limited, false);
    return;
  }
  if (needs_permit(route.handler.runs())) {
    if (!refused && route.handler.answers_first() && answered_first()) return;
    admit(arrival);
    return;
  }
  if (refused) {
    shed(*refused, false);
    return;
  }
  if (route.in_place) {
    serve_in_place(tally);
    return;
  }
  tally.inlined.add_owned();
  tally.started.add_owned();
  tally.running.add_owned();
  x.claim.store(Claim::running, std::memory_order_relaxed);
  x.own_bytes(fd);
  run_on_loop();
}

// A plain function from request to response: nobody else can have a handle, so that its answer need not be kept.
[[gnu::flatten]] void Connection::serve_in_place(admission::Tally& tally) {
  struct Room {
    Room() noexcept {}
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    ~Room() {
      if (taken) std::destroy_at(&response);
    }
    union {
      Response response;
    };
    bool taken = false;
  } room;
  Exchange& x = *exchange_;
  const Done done{*this, x};
  shard_->guard().enter(*x.route);
  room.taken = x.run_in_place(tally, &room.response);
  shard_->guard().leave();
  if (room.taken && !shard_->draining()) [[likely]] {
    refused_in_a_row_ = 0;
    write_response(room.response);
  } else {
    if (room.taken) x.keep_answer(std::move(room.response));
    answer_claimed(x);
  }
}

[[gnu::noinline]] bool Connection::answered_first() {
  Exchange& x = *exchange_;
  if (x.inflow != nullptr || !x.answer_first()) return false;
  const Done done{*this, x};
  answer_claimed(x);
  return true;
}

[[gnu::noinline]] void Connection::admit(const admission::ArrivalView& arrival) {
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

[[gnu::noinline]] void Connection::run_on_loop() {
  Exchange& x = *exchange_;
  const auto end = shard_->run_frame(x);
  if (!end.deliver) {  // it answers later
    arm();
    return;
  }
  std::optional<Done> done;
  if (end.free) done.emplace(*this, x);
  answer_claimed(x);
}

void Connection::deliver(Exchange& x) {
  SLUICE_ASSERT(exchange_ == &x);
  answer_claimed(x);
}

}  // namespace sluice::detail
