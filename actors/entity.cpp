#include "actors/entity.hpp"

#include "actors/allowance.hpp"
#include "actors/queue.hpp"
#include "actors/reservation.hpp"
#include "actors/seat.hpp"
#include "actors/show.hpp"
#include "actors/stock.hpp"
#include "actors/user.hpp"
#include "actors/wallet.hpp"

namespace usher::actors {
namespace {

/// Where the messages of an aggregate stand in the envelopes.
template <class A>
struct envelope;

#define USHER_ENVELOPE(aggregate)                                                                   \
  template <>                                                                                       \
  struct envelope<aggregate> {                                                                      \
    static const auto& command(const v1::Command& c) { return c.aggregate(); }                      \
    static auto* command(v1::Command& c) { return c.mutable_##aggregate(); }                        \
    static const auto& event(const v1::StreamEvent& e) { return e.aggregate(); }                    \
    static auto* event(v1::StreamEvent& e) { return e.mutable_##aggregate(); }                      \
    static const auto& state(const v1::Snapshot& s) { return s.aggregate(); }                       \
    static auto* state(v1::Snapshot& s) { return s.mutable_##aggregate(); }                         \
  }
USHER_ENVELOPE(show);
USHER_ENVELOPE(seat);
USHER_ENVELOPE(stock);
USHER_ENVELOPE(allowance);
USHER_ENVELOPE(reservation);
USHER_ENVELOPE(queue);
USHER_ENVELOPE(wallet);
USHER_ENVELOPE(user);
#undef USHER_ENVELOPE

/// Whether the state is a class of its own that knows how to become the snapshot's message.
template <class A>
concept keeps_itself = !std::derived_from<typename A::state, google::protobuf::Message>;

template <class A>
class entity_of final : public entity {
 public:
  entity_decision decide(const v1::EntityRef& ref, const v1::Command& c, const context& ctx) const override {
    auto d = A::decide(ref, state_, envelope<A>::command(c), ctx);
    entity_decision out;
    out.what = static_cast<entity_decision::kind>(d.what);
    out.outcome = std::move(d.outcome);
    out.rejection = std::move(d.rejection);
    out.parts = std::move(d.parts);
    out.settles = std::move(d.settles);
    out.events.resize(d.events.size());
    for (std::size_t i = 0; i < d.events.size(); ++i) *envelope<A>::event(out.events[i]) = std::move(d.events[i]);
    return out;
  }
  void evolve(const v1::StreamEvent& e) override { A::evolve(state_, envelope<A>::event(e)); }
  std::optional<time_point> deadline() const override { return A::deadline(state_); }
  std::vector<errand> react(const v1::EntityRef& ref) const override { return A::react(ref, state_); }
  std::unique_ptr<entity> clone() const override { return std::make_unique<entity_of>(*this); }
  void save(v1::Snapshot& s) const override {
    if constexpr (keeps_itself<A>) state_.save(*envelope<A>::state(s));
    else *envelope<A>::state(s) = state_;
  }
  void restore(const v1::Snapshot& s) override {
    if constexpr (keeps_itself<A>) state_.restore(envelope<A>::state(s));
    else state_ = envelope<A>::state(s);
  }

 private:
  typename A::state state_;
};

template <class A>
std::optional<v1::Command> wake_command_of() {
  auto wake = A::wake();
  if (!wake) return std::nullopt;
  v1::Command c;
  *envelope<A>::command(c) = std::move(*wake);
  return c;
}

/// Calls `f` with the aggregate of this kind.
template <class F>
auto with_aggregate(v1::Kind kind, F f) -> decltype(f.template operator()<seat>()) {
  switch (kind) {
    case v1::SHOW: return f.template operator()<show>();
    case v1::SEAT: return f.template operator()<seat>();
    case v1::STOCK: return f.template operator()<stock>();
    case v1::ALLOWANCE: return f.template operator()<allowance>();
    case v1::RESERVATION: return f.template operator()<reservation>();
    case v1::QUEUE: return f.template operator()<queue>();
    case v1::WALLET: return f.template operator()<wallet>();
    case v1::USER: return f.template operator()<user>();
    case v1::PROVIDER:  // outside, and never an entity here
    case v1::KIND_UNSPECIFIED:
    case v1::Kind_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Kind_INT_MAX_SENTINEL_DO_NOT_USE_: break;
  }
  throw std::logic_error("no such kind of entity");
}

}  // namespace

std::unique_ptr<entity> make_entity(v1::Kind kind) {
  return with_aggregate(kind, []<class A>() -> std::unique_ptr<entity> { return std::make_unique<entity_of<A>>(); });
}

std::optional<v1::Command> wake_command(v1::Kind kind) {
  // A log that a newer Usher wrote may have deadlines of kinds that this one doesn't know.
  if (!v1::Kind_IsValid(kind) || kind == v1::KIND_UNSPECIFIED || kind == v1::PROVIDER) return std::nullopt;
  return with_aggregate(kind, []<class A>() { return wake_command_of<A>(); });
}

}  // namespace usher::actors
