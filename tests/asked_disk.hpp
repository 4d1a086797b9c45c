#pragma once
// A real disk that asks the test before it syncs the write-ahead log.

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>

#include <functional>
#include <memory>
#include <string>
#include <utility>

namespace usher::tests {

/// What is to become of a sync: it is done where this is ok, and fails with anything else. From any thread; it may take its time.
using before_sync = std::function<rocksdb::IOStatus()>;

class asked_file final : public rocksdb::FSWritableFileOwnerWrapper {
 public:
  asked_file(std::unique_ptr<rocksdb::FSWritableFile> file, const before_sync& ask) : FSWritableFileOwnerWrapper{std::move(file)}, ask_{ask} {}
  rocksdb::IOStatus Sync(const rocksdb::IOOptions& o, rocksdb::IODebugContext* c) override {
    const auto may = ask_();
    return may.ok() ? FSWritableFileOwnerWrapper::Sync(o, c) : may;
  }

 private:
  const before_sync& ask_;
};

class asked_files final : public rocksdb::FileSystemWrapper {
 public:
  explicit asked_files(before_sync ask) : FileSystemWrapper{rocksdb::FileSystem::Default()}, ask_{std::move(ask)} {}
  const char* Name() const override { return "asked"; }
  rocksdb::IOStatus NewWritableFile(const std::string& name, const rocksdb::FileOptions& o,
                                    std::unique_ptr<rocksdb::FSWritableFile>* out, rocksdb::IODebugContext* c) override {
    auto s = FileSystemWrapper::NewWritableFile(name, o, out, c);
    if (s.ok() && name.ends_with(".log")) out->reset(new asked_file{std::move(*out), ask_});
    return s;
  }

 private:
  const before_sync ask_;
};

inline std::unique_ptr<rocksdb::Env> asked_disk(before_sync ask) {
  return rocksdb::NewCompositeEnv(std::make_shared<asked_files>(std::move(ask)));
}

}  // namespace usher::tests
