#pragma once
// Tells a story to people while it is played, with names in the place of ids.

#include <google/protobuf/message.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/simulation/story.hpp"

namespace usher::tests {

/// Tells nothing where there is nobody to listen.
class tale {
 public:
  tale() = default;
  tale(const story& s, std::function<void(const std::string&)> listener) : listener_{std::move(listener)} {
    for (const auto& step : s.steps) name_reservation(step);
    for (const auto& show : s.shows) names_.emplace_back(show.id, show.name);
    for (const auto& person : s.people) names_.emplace_back(person.id, person.name);
    for (const auto& visitor : s.visitors) names_.emplace_back(visitor.id, visitor.name);
  }

  void step(const tests::step& s) {
    if (!listener_) return;
    auto text = std::to_string(s.number) + ". " + s.words;
    if (!s.key.empty()) text += " (" + s.key + ")";
    if (s.messages != 0) text += " [up to " + std::to_string(s.messages) + " messages]";
    line(text);
  }
  void record(const v1::Record& r) {
    if (!listener_) return;
    std::string text = "      recorded " + std::to_string(r.partition()) + "/" + std::to_string(r.index()) + ":";
    for (const auto& e : r.events()) text += " " + key_of(e.stream()) + " " + chosen(chosen_message(e)) + ",";
    text.back() = '.';
    line(text);
  }
  void answer(const tests::step& s, const actors::answer& a) {
    if (!listener_) return;
    std::string text = "      answered step " + std::to_string(s.number) + ": ";
    if (a.rejection) text += v1::Code_Name(a.rejection->code());
    else text += a.replayed ? "done before" : a.outcome->unchanged() ? "nothing to do" : "done";
    line(text + ".");
  }
  void line(std::string text) {
    if (!listener_) return;
    for (const auto& [id, name] : names_)
      for (auto at = text.find(id); at != std::string::npos; at = text.find(id)) text.replace(at, id.size(), name);
    listener_(text);
  }

 private:
  void name_reservation(const tests::step& s) {
    if (!s.command.reservation().has_place()) return;
    const auto name = "R" + std::to_string(s.number);
    auto payment = make_payment_id(s.to.name(), 1);
    payment.resize(payment.size() - 2);
    names_.emplace_back(payment, "the payment of " + name);
    names_.emplace_back(s.to.name(), name);
  }
  static const google::protobuf::FieldDescriptor* chosen_field(const google::protobuf::Message& m) {
    return m.GetReflection()->GetOneofFieldDescriptor(m, m.GetDescriptor()->oneof_decl(0));
  }
  static const google::protobuf::Message& chosen_message(const google::protobuf::Message& m) {
    return m.GetReflection()->GetMessage(m, chosen_field(m));
  }
  static std::string chosen(const google::protobuf::Message& m) {
    const auto* field = chosen_field(m);
    return field ? field->name() : "nothing";
  }

  std::function<void(const std::string&)> listener_;
  std::vector<std::pair<std::string, std::string>> names_;  ///< the longest first
};

}  // namespace usher::tests
