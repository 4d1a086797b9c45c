// Settings: which source wins, and what is said about a mistake.

#include <catch2/catch.hpp>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "node_config.hpp"

namespace {

using usher::load_configuration;
using usher::setting_texts;

/// A file that goes with its test.
class temporary_file {
 public:
  explicit temporary_file(const std::string& text) {
    std::string name = (std::filesystem::temp_directory_path() / "usher-config-XXXXXX").string();
    const int descriptor = mkstemp(name.data());
    REQUIRE(descriptor >= 0);
    close(descriptor);
    path_ = name;
    std::ofstream{path_} << text;
  }
  ~temporary_file() { std::filesystem::remove(path_); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string complaint(const std::optional<std::string>& file, const setting_texts& environment, const setting_texts& flags = {}) {
  const auto loaded = load_configuration(file, environment, flags);
  REQUIRE(loaded.has_error());
  CHECK(loaded.error().code == usher::errc::invalid_argument);
  return loaded.error().detail;
}

}  // namespace

TEST_CASE("without any source the settings are the documented defaults") {
  const auto loaded = load_configuration(std::nullopt, {}, {});
  REQUIRE(loaded.has_value());
  CHECK(loaded->data_directory() == "data");
  CHECK(loaded->listen_address() == "127.0.0.1");
  CHECK(loaded->listen_port() == 8080);
  CHECK(loaded->open_sign_up());
  CHECK(loaded->snapshot_every() == 200);
}

TEST_CASE("the environment beats the file, and the command line beats both") {
  const temporary_file file{R"({"listenPort": 1001, "ioThreads": 2, "snapshotEvery": 7, "openSignUp": false})"};
  const auto loaded = load_configuration(file.path(), {{"USHER_LISTEN_PORT", "1002"}, {"USHER_IO_THREADS", "3"}, {"HOME", "/"}},
                                         {{"listen_port", "1003"}});
  REQUIRE(loaded.has_value());
  CHECK(loaded->listen_port() == 1003);
  CHECK(loaded->io_threads() == 3);
  CHECK(loaded->snapshot_every() == 7);
  CHECK_FALSE(loaded->open_sign_up());
  CHECK(loaded->command_wait_ms() == 3000);
}

TEST_CASE("a zero in the file counts, although zero is what an absent number looks like") {
  const temporary_file file{R"({"listenPort": 0, "openSignUp": false})"};
  const auto loaded = load_configuration(file.path(), {}, {});
  REQUIRE(loaded.has_value());
  CHECK(loaded->listen_port() == 0);
  CHECK_FALSE(loaded->open_sign_up());
}

TEST_CASE("every mistake is named with its source") {
  const temporary_file file{R"({"listenPrt": 80, "ioThreads": "two"})"};
  const auto said = complaint(file.path(), {{"USHER_LISTEN_PORTS", "1"}, {"USHER_OPEN_SIGN_UP", "yes"}},
                              {{"snapshot_every", "often"}, {"colour", "red"}});
  INFO(said);
  CHECK(said.find(file.path() + ": listenPrt") != std::string::npos);
  CHECK(said.find(file.path() + ": ioThreads") != std::string::npos);
  CHECK(said.find("USHER_LISTEN_PORTS: there is no such setting") != std::string::npos);
  CHECK(said.find("USHER_OPEN_SIGN_UP: \"yes\" is neither true nor false") != std::string::npos);
  CHECK(said.find("--snapshot-every: \"often\" is not a whole number") != std::string::npos);
  CHECK(said.find("--colour: there is no such setting") != std::string::npos);
}

TEST_CASE("a setting out of its bounds is refused, wherever it comes from") {
  CHECK(complaint(std::nullopt, {{"USHER_LISTEN_PORT", "65536"}}) == "listen_port: 65536 is more than 65535");
  CHECK(complaint(std::nullopt, {}, {{"command_wait_ms", "30001"}}) == "command_wait_ms: 30001 is more than 30000");
  CHECK(complaint(std::nullopt, {{"USHER_SNAPSHOT_EVERY", "0"}}) == "snapshot_every: 0 is less than 1");
  CHECK(complaint(std::nullopt, {{"USHER_DATA_DIRECTORY", ""}}) == "data_directory: must not be empty");
}

TEST_CASE("an outside issuer needs a key that can be read") {
  CHECK(complaint(std::nullopt, {{"USHER_JWT_ISSUER_KEY_FILE", "/nowhere/key.pem"}}) ==
        "jwt_issuer_key_file: /nowhere/key.pem can't be read");
  CHECK(complaint(std::nullopt, {{"USHER_JWT_ISSUER_NAME", "venue"}}) ==
        "jwt_issuer_name: is of no use without jwt_issuer_key_file");
}

TEST_CASE("a file that is not there is a failure and not a default") {
  const auto loaded = load_configuration("/nowhere/usher.json", {}, {});
  REQUIRE(loaded.has_error());
  CHECK(loaded.error().code == usher::errc::io_failure);
  CHECK(load_configuration("/", {}, {}).has_error());
}

TEST_CASE("every default is within its bounds and every setting has a documented one") {
  for (const auto& [name, preset] : usher::settings_with_defaults()) {
    INFO(name);
    CHECK((!preset.empty() || name.starts_with("jwt_") || name == "backup_directory"));
  }
  CHECK(load_configuration(std::nullopt, {}, {}).has_value());
}

TEST_CASE("only variables of Usher are taken from the environment") {
  const char* const environment[] = {"PATH=/bin", "USHER_LISTEN_PORT=81", "USHER_DATA_DIRECTORY=/a=b", nullptr};
  CHECK(usher::usher_variables(environment) == setting_texts{{"USHER_LISTEN_PORT", "81"}, {"USHER_DATA_DIRECTORY", "/a=b"}});
}

TEST_CASE("an address and a port can be given as one") {
  CHECK(usher::listen_flags("0.0.0.0:80").value() == setting_texts{{"listen_address", "0.0.0.0"}, {"listen_port", "80"}});
  CHECK(usher::listen_flags("[::1]:8080").value() == setting_texts{{"listen_address", "::1"}, {"listen_port", "8080"}});
  CHECK(usher::listen_flags("localhost").has_error());
  CHECK(usher::listen_flags("localhost:").has_error());
}

TEST_CASE("the production configuration that ships loads as it is") {
  const auto loaded = load_configuration(USHER_SOURCE_DIR "/deploy/production.json", {}, {});
  if (loaded.has_error()) FAIL(loaded.error().detail);
  CHECK(loaded->data_directory() == "/var/lib/usher");
}
