// Folding everything again: what the log says is what is stored, and whoever changes one of them is found out.

#include <catch2/catch.hpp>

#include <iostream>

#include "projections/auditor.hpp"
#include "store/audit.hpp"
#include "tests/log_maker.hpp"
#include "tests/support.hpp"

namespace usher::tests {
namespace {

TEST_CASE("a log that was made quickly is chained, and the auditor finds nothing in it") {
  temp_dir dir;
  auto db = store::database::open(dir.path).value();
  log_maker maker{*db};
  const auto began = std::chrono::steady_clock::now();
  maker.make(number_from_environment("USHER_TEST_EVENTS", 100'000));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  std::cout << maker.records() << " records, " << maker.events() << " events in " << took.count() << " s\n";
  CHECK(store::verify_all(*db).value().records == maker.records());
  projections::auditor judge;
  std::map<std::string, int> types;
  for (std::uint32_t p = 0; p != partition_count; ++p)
    db->scan(p, 1, [&](store::record_ptr r, std::string_view) {
        judge.take(*r);
        for (const auto& e : r->events()) {
          const auto* payload = e.GetReflection()->GetOneofFieldDescriptor(e, e.GetDescriptor()->FindOneofByName("payload"));
          const auto& inner = e.GetReflection()->GetMessage(e, payload);
          ++types[payload->name() + '.' + inner.GetReflection()->GetOneofFieldDescriptor(inner, inner.GetDescriptor()->FindOneofByName("kind"))->name()];
        }
        return true;
      }).value();
  judge.finish();
  for (const auto& f : judge.take_faults()) FAIL_CHECK(projections::word_of(f.kind) << ' ' << f.entity << ": " << f.detail);
  for (const auto& [type, count] : types) UNSCOPED_INFO(type << ' ' << count);
  CHECK(types.size() >= 25);
  if (std::getenv("USHER_TEST_TYPES")) for (const auto& [type, count] : types) std::cout << type << ' ' << count << '\n';
}

}  // namespace
}  // namespace usher::tests
