#include "cli_report.hpp"

#include "cli_offline.hpp"
#include "cli_operation.hpp"
#include "cli_progress.hpp"

namespace usher::cli {
namespace {

namespace json = boost::json;

result<json::object> ask_node(const server_flags& flags, const std::string& target, const std::string& body) {
  const auto node = server_of(flags);
  if (!node) return node.error();
  auto operation = run_operation(*node, target, body);
  if (!operation) return operation.error();
  if (text_of(*operation, "state") != "SUCCEEDED") return failure{errc::io_failure, text_of(*operation, "error")};
  auto* made = operation->if_contains("result");
  return made && made->is_object() ? std::move(made->as_object()) : json::object{};
}

}  // namespace

result<json::object> report(const server_flags& flags, const std::string& target, const std::string& body,
                            const std::function<result<std::string>(const store::database&, const http::report_progress&)>& offline) {
  if (!flags.server.empty() || find_running(flags.data)) return ask_node(flags, target, body);
  const auto db = open_offline(flags.data);
  if (!db) return db.error();
  progress bar{records_in(**db)};
  const auto made = offline(**db, [&bar](std::uint64_t done, std::uint64_t total) {
    bar.show(done, total);
    return true;
  });
  if (!made) return made.error();
  return object_in(*made);
}

const json::array& list_of(const json::object& object, std::string_view name) {
  static const json::array none;
  const auto* value = object.if_contains(name);
  return value && value->is_array() ? value->as_array() : none;
}

}  // namespace usher::cli
