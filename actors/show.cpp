// A show's description: what a plan must be to be sold, and what may change afterwards.

#include "actors/show.hpp"

#include <algorithm>
#include <string_view>
#include <unordered_set>

#include "actors/queue_settings.hpp"
#include "actors/rules.hpp"
#include "events/fold.hpp"
#include "events/layout.hpp"

namespace usher::actors {
namespace {

using show_decision = decision<v1::ShowEvent>;

constexpr int faults_max = 100;  // enough to mend a plan by, and an answer stays small
constexpr std::uint64_t seats_max = 200'000;
constexpr std::uint64_t stock_max = 1'000'000'000;
constexpr std::int64_t price_max = 1'000'000'000'000;
constexpr std::uint32_t extension_seconds_max = 86'400;
constexpr std::size_t title_bytes_max = 500;
constexpr std::size_t draw_secret_bytes = 32;

using names = std::unordered_set<std::string_view>;

std::string path_at(const std::string& list, int index) { return list + '[' + std::to_string(index) + ']'; }

/// Collects what is wrong with a plan or a change.
class show_inspection {
 public:
  void blame(std::string field, std::string detail) {
    if (found_.faults_size() < faults_max) add_fault(found_, std::move(field), std::move(detail));
  }
  void check_title(const std::string& title) {
    if (!is_name(title, title_bytes_max)) blame("title", "A title of 1 to 500 bytes is needed.");
  }
  void check_price(const std::string& tier, std::int64_t price) {
    if (price < 0 || price > price_max) blame(tier + ".price", "A price must be from 0 to 1000000000000 minor units.");
  }
  void check_times(std::int64_t opens_ms, std::int64_t closes_ms) {
    if (closes_ms != 0 && closes_ms <= opens_ms) blame("saleClosesAt", "The sale must close after it opens.");
  }
  void check_extension(std::uint32_t seconds) {
    if (seconds > extension_seconds_max) blame("extensionSeconds", "A hold is made longer by at most a day.");
  }
  [[nodiscard]] bool is_clean() const { return found_.faults_size() == 0; }
  [[nodiscard]] std::optional<show_decision> refusal() {
    if (is_clean()) return std::nullopt;
    auto d = show_decision::rejected(v1::VALIDATION_FAILED, found_.faults(0).detail());
    d.rejection.mutable_faults()->Swap(found_.mutable_faults());
    return d;
  }

 private:
  v1::Rejection found_;
};

/// Checks a whole plan from the outside in: the order of its functions is the order of the faults.
class plan_inspection : public show_inspection {
 public:
  explicit plan_inspection(const v1::ShowPlan& plan) : plan_(plan) {
    check_title(plan.title());
    check_currency();
    check_times(plan.sale_opens_at_ms(), plan.sale_closes_at_ms());
    check_extension(plan.extension_seconds());
    check_tiers();
    check_sections();
    if (plan.has_queue())
      for (auto& fault : faults_of(plan.queue(), "queue")) blame(fault.field(), fault.detail());
    if (seats_ > seats_max) blame("sections", "A show may have at most 200000 seats.");
    if (is_clean()) check_seat_names();
  }

 private:
  void check_currency() {
    const auto& c = plan_.currency();
    if (c.size() != 3 || !std::all_of(c.begin(), c.end(), [](char x) { return x >= 'A' && x <= 'Z'; }))
      blame("currency", "A currency is three upper-case letters, such as EUR.");
  }

  void check_tiers() {
    if (plan_.tiers_size() >= layout::no_tier) return blame("tiers", "These are too many tiers.");
    for (int i = 0; i != plan_.tiers_size(); ++i) {
      const auto& tier = plan_.tiers(i);
      if (!is_name(tier.name())) blame(path_at("tiers", i) + ".name", "A name of 1 to 100 bytes is needed.");
      if (!tiers_.insert(tier.name()).second) blame(path_at("tiers", i) + ".name", "There is a tier " + tier.name() + " already.");
      check_price(path_at("tiers", i), tier.price());
    }
  }

  void check_tier(const std::string& owner, const std::string& tier) {
    if (!tiers_.contains(tier)) blame(owner + ".tier", "There is no tier " + (tier.empty() ? "without a name" : tier) + ".");
  }

  void check_sections() {
    if (plan_.sections_size() == 0) blame("sections", "A show needs at least one section.");
    if (plan_.sections_size() >= layout::no_tier) return blame("sections", "These are too many sections.");
    names seen;
    for (int i = 0; i != plan_.sections_size(); ++i) {
      const auto& section = plan_.sections(i);
      const auto path = path_at("sections", i);
      if (!is_name(section.name())) blame(path + ".name", "A name of 1 to 100 bytes is needed.");
      if (!seen.insert(section.name()).second) blame(path + ".name", "There is a section " + section.name() + " already.");
      if (section.kind() == "seated")
        check_seated(path, section);
      else if (section.kind() == "generalAdmission")
        check_general_admission(path, section);
      else
        blame(path + ".kind", "A section is seated or generalAdmission.");
    }
  }

  void check_general_admission(const std::string& path, const v1::Section& section) {
    if (section.stock() == 0 || section.stock() > stock_max)
      blame(path + ".stock", "A stock must be from 1 to 1000000000 places.");
    if (section.rows_size() != 0) blame(path + ".rows", "A section with general admission has no rows.");
    check_tier(path, section.tier());
  }

  void check_seated(const std::string& path, const v1::Section& section) {
    if (section.rows_size() == 0) blame(path + ".rows", "A seated section needs at least one row.");
    if (section.stock() != 0) blame(path + ".stock", "A seated section has no stock.");
    names seen;
    for (int i = 0; i != section.rows_size(); ++i) {
      const auto& row = section.rows(i);
      const auto row_path = path_at(path + ".rows", i);
      if (!is_name(row.name())) blame(row_path + ".name", "A name of 1 to 100 bytes is needed.");
      if (!seen.insert(row.name()).second) blame(row_path + ".name", "There is a row " + row.name() + " already.");
      if (row.named_size() != 0)
        check_named_seats(row_path, row);
      else
        check_numbered_seats(row_path, row);
    }
  }

  void check_numbered_seats(const std::string& path, const v1::SeatRow& row) {
    seats_ += row.seats();
    if (row.seats() == 0) blame(path + ".seats", "A row needs at least one seat.");
    check_tier(path, row.tier());
    std::unordered_set<std::uint32_t> seen;
    for (int i = 0; i != row.accessible_size(); ++i) {
      const auto number = row.accessible(i);
      const auto told = "The row has no seat " + std::to_string(number) + ".";
      if (number == 0 || number > row.seats()) blame(path_at(path + ".accessible", i), told);
      else if (!seen.insert(number).second) blame(path_at(path + ".accessible", i), "The seat is named twice.");
    }
  }

  void check_named_seats(const std::string& path, const v1::SeatRow& row) {
    seats_ += static_cast<std::uint64_t>(row.named_size());
    if (row.seats() != 0 && row.seats() != static_cast<std::uint32_t>(row.named_size()))
      blame(path + ".seats", "The row lists another number of seats.");
    if (row.accessible_size() != 0) blame(path + ".accessible", "The row lists its seats; mark those that are accessible there.");
    for (int i = 0; i != row.named_size(); ++i) {
      const auto& seat = row.named(i);
      const auto seat_path = path_at(path + ".named", i);
      if (!is_name(seat.number())) blame(seat_path + ".number", "A number of 1 to 100 bytes is needed.");
      if (!seat.id().empty() && !is_name(seat.id()))
        blame(seat_path + ".id", "An id has at most 100 bytes, none of them a control character.");
      check_tier(seat_path, seat.tier().empty() ? row.tier() : seat.tier());
    }
  }

  /// Names are made of rows and numbers, so two may be alike though no two rows are.
  void check_seat_names() {
    const layout seats{plan_};
    if (seats.duplicate().empty()) return;
    for (std::uint32_t i = 0; i != seats.size(); ++i) {
      const auto seat = seats.at(i);
      if (seats.find(seat.name) == i) continue;
      blame(path_at(path_at("sections", static_cast<int>(seat.section)) + ".rows", static_cast<int>(seat.row)),
            "There is a seat " + std::string{seat.name} + " already.");
    }
  }

  const v1::ShowPlan& plan_;
  names tiers_;
  std::uint64_t seats_ = 0;
};

const v1::Tier* find_tier(const v1::ShowPlan& plan, const std::string& name) {
  const auto found = std::find_if(plan.tiers().begin(), plan.tiers().end(), [&](const auto& t) { return t.name() == name; });
  return found == plan.tiers().end() ? nullptr : &*found;
}

show_inspection inspect_change(const v1::ShowPlan& plan, const v1::ShowChange& change) {
  show_inspection result;
  if (change.has_title()) result.check_title(change.title());
  result.check_extension(change.extension_seconds());
  if (change.has_sale_opens_at_ms() || change.has_sale_closes_at_ms())
    result.check_times(change.has_sale_opens_at_ms() ? change.sale_opens_at_ms() : plan.sale_opens_at_ms(),
                       change.has_sale_closes_at_ms() ? change.sale_closes_at_ms() : plan.sale_closes_at_ms());
  names seen;
  for (int i = 0; i != change.tiers_size(); ++i) {
    const auto& tier = change.tiers(i);
    if (!find_tier(plan, tier.name())) result.blame(path_at("tiers", i) + ".name", "There is no tier " + tier.name() + ".");
    if (!seen.insert(tier.name()).second) result.blame(path_at("tiers", i) + ".name", "The tier is named twice.");
    result.check_price(path_at("tiers", i), tier.price());
  }
  return result;
}

/// Whether the plan is already as the change wants it.
bool is_met(const v1::ShowPlan& plan, const v1::ShowChange& c) {
  return (!c.has_title() || c.title() == plan.title()) && (!c.has_venue() || c.venue() == plan.venue()) &&
         (!c.has_starts_at_ms() || c.starts_at_ms() == plan.starts_at_ms()) &&
         (!c.has_sale_opens_at_ms() || c.sale_opens_at_ms() == plan.sale_opens_at_ms()) &&
         (!c.has_sale_closes_at_ms() || c.sale_closes_at_ms() == plan.sale_closes_at_ms()) &&
         (!c.has_ticket_limit() || c.ticket_limit() == plan.ticket_limit()) &&
         (!c.has_hold_seconds() || c.hold_seconds() == plan.hold_seconds()) &&
         (!c.has_extension_seconds() || c.extension_seconds() == plan.extension_seconds()) &&
         (!c.has_forbid_orphans() || c.forbid_orphans() == plan.forbid_orphans()) &&
         std::all_of(c.tiers().begin(), c.tiers().end(), [&](const auto& t) {
           const auto* known = find_tier(plan, t.name());
           return known && known->price() == t.price();
         });
}

v1::Outcome show_outcome(const v1::EntityRef& ref, std::uint64_t version) {
  v1::Outcome out;
  out.mutable_show()->set_show_id(ref.group());
  out.mutable_show()->set_version(version);
  return out;
}

errand opening_queue(const v1::EntityRef& ref, const v1::OpenShow& c) {
  errand part;
  part.to = queue_ref(ref.group());
  auto* open = part.command.mutable_queue()->mutable_open();
  *open->mutable_settings() = c.plan().queue();
  open->set_opens_at_ms(c.plan().sale_opens_at_ms());
  open->set_closes_at_ms(c.plan().sale_closes_at_ms());
  open->set_draw_secret(c.draw_secret());
  return part;
}

errand rescheduling_queue(const v1::EntityRef& ref, const v1::ShowPlan& after) {
  errand part;
  part.to = queue_ref(ref.group());
  auto* reschedule = part.command.mutable_queue()->mutable_reschedule();
  reschedule->set_opens_at_ms(after.sale_opens_at_ms());
  reschedule->set_closes_at_ms(after.sale_closes_at_ms());
  return part;
}

/// Whether the sale opens and closes as before.
bool are_times_alike(const v1::ShowPlan& a, const v1::ShowPlan& b) {
  return a.sale_opens_at_ms() == b.sale_opens_at_ms() && a.sale_closes_at_ms() == b.sale_closes_at_ms();
}

show_decision open(const v1::EntityRef& ref, const v1::ShowState& s, const v1::OpenShow& c, const context& ctx) {
  if (s.open()) return show_decision::rejected(v1::ALREADY_EXISTS, "There is a show with this id.");
  if (auto refused = plan_inspection{c.plan()}.refusal()) return std::move(*refused);
  // A draw by a secret that can be guessed would be none.
  if (c.plan().has_queue() && c.draw_secret().size() != draw_secret_bytes)
    return show_decision::rejected(v1::INVALID_REQUEST, "A show with a queue needs a secret of 32 random bytes for its draw.");
  v1::ShowEvent e;
  *e.mutable_opened()->mutable_plan() = c.plan();
  e.mutable_opened()->set_at_ms(to_ms(ctx.now));
  auto d = show_decision::accepted(std::move(e), show_outcome(ref, s.version() + 1));
  if (c.plan().has_queue()) d.parts.push_back(opening_queue(ref, c));
  return d;
}

show_decision change(const v1::EntityRef& ref, const v1::ShowState& s, const v1::ChangeShow& c, const context& ctx) {
  if (!s.open()) return show_decision::rejected(v1::NOT_FOUND, "There is no such show.");
  if (auto refused = inspect_change(s.plan(), c.change()).refusal()) return std::move(*refused);
  if (is_met(s.plan(), c.change())) return unchanged<v1::ShowEvent>(show_outcome(ref, s.version()));
  v1::ShowEvent e;
  *e.mutable_changed()->mutable_change() = c.change();
  e.mutable_changed()->set_at_ms(to_ms(ctx.now));
  auto after = s.plan();
  fold(after, c.change());
  auto d = show_decision::accepted(std::move(e), show_outcome(ref, s.version() + 1));
  if (s.plan().has_queue() && !are_times_alike(s.plan(), after)) d.parts.push_back(rescheduling_queue(ref, after));
  return d;
}

}  // namespace

decision<show::event> show::decide(const v1::EntityRef& ref, const state& s, const command& c, const context& ctx) {
  switch (c.kind_case()) {
    case command::kOpen: return open(ref, s, c.open(), ctx);
    case command::kChange: return change(ref, s, c.change(), ctx);
    case command::KIND_NOT_SET: break;
  }
  return no_command<event>();
}

void show::evolve(state& s, const event& e) {
  switch (e.kind_case()) {
    case event::kOpened:
      *s.mutable_plan() = e.opened().plan();
      s.set_open(true);
      return s.set_version(s.version() + 1);
    case event::kChanged:
      fold(*s.mutable_plan(), e.changed().change());
      return s.set_version(s.version() + 1);
    case event::KIND_NOT_SET: return;
  }
}

std::optional<time_point> show::deadline(const state&) { return std::nullopt; }
std::optional<show::command> show::wake() { return std::nullopt; }
std::vector<errand> show::react(const v1::EntityRef&, const state&) { return {}; }

}  // namespace usher::actors
