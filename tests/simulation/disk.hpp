#pragma once
// A disk in memory that forgets at a power cut what was never synced, and that can be told to fail.

#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/system_clock.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace usher::tests {

/// What is stored, and how much of it a power cut is sure to leave. Guarded by the mutex of its disk.
struct stored_file {
  std::string bytes;
  std::size_t synced = 0;
  bool sync_failed = false;  ///< the system took its dirty pages for clean: no later sync saves them
};
using stored_file_ptr = std::shared_ptr<stored_file>;

/// Files by name in one directory, written like those of a journalling file system: a file's bytes are safe once it was
/// synced, its name once the directory was. Outlives the programs that write to it.
///
/// `restart` keeps of each file what was synced and a random part of what came after, as long as it is a beginning, and
/// of the names what was synced and some of the first changes after that. Thread-safe.
class disk_files {
 public:
  /// Asked before the log is written and synced, outside of all locks; false: it fails. What they change counts.
  std::function<bool()> before_log_append;
  std::function<bool()> before_log_sync;

  /// From now on nothing is written any more; what runs fails, and is to be ended before `restart`.
  void cut_power() { has_power_ = false; }
  /// The same, in the middle of the n-th sync of a table from now on (1: the next).
  void cut_power_at_table(int n) { tables_until_cut_ = n; }
  [[nodiscard]] bool has_power() const { return has_power_; }

  struct losses {
    std::size_t bytes = 0;  ///< of the log, written and not synced, that are gone
    std::size_t kept = 0;   ///< and that are there nevertheless
  };
  losses restart(std::uint64_t seed) {
    const std::lock_guard lock{mutex_};
    std::mt19937_64 random{seed};
    losses lost;
    keep_some_names(random);
    for (auto& [name, file] : names_) {
      const auto unsynced = file->bytes.size() - file->synced;
      const auto kept = unsynced == 0 ? 0 : random() % 3 == 0 ? unsynced : random() % (unsynced + 1);
      if (is_log(name)) {
        lost.bytes += unsynced - kept;
        lost.kept += kept;
      }
      // A new file, since what ends late may still hold the old one.
      auto after = std::make_shared<stored_file>();
      after->bytes = file->bytes.substr(0, file->synced + kept);
      after->synced = after->bytes.size();
      file = std::move(after);
    }
    synced_names_ = names_;
    tables_until_cut_ = 0;
    has_power_ = true;
    return lost;
  }

  static bool is_log(const std::string& name) { return name.ends_with(".log"); }
  static bool is_table(const std::string& name) { return name.ends_with(".sst"); }

  // --- what the file system below is made of -----------------------------------------------------------------------

  stored_file_ptr find(const std::string& name) const {
    const std::lock_guard lock{mutex_};
    const auto found = names_.find(name);
    return found == names_.end() ? nullptr : found->second;
  }
  /// @return nullptr without power
  stored_file_ptr create(const std::string& name) {
    auto file = std::make_shared<stored_file>();
    return change({name, {}, file}) ? file : nullptr;
  }
  bool remove(const std::string& name) { return find(name) && change({name, {}, nullptr}); }
  bool rename(const std::string& name, const std::string& to) { return find(name) && change({name, to, nullptr}); }
  std::vector<std::string> names_in(const std::string& directory) const {
    const std::lock_guard lock{mutex_};
    std::vector<std::string> found;
    for (const auto& [name, file] : names_)
      if (name.starts_with(directory + '/')) found.push_back(name.substr(directory.size() + 1));
    return found;
  }
  bool sync_names() {
    const std::lock_guard lock{mutex_};
    if (!has_power_) return false;
    synced_names_ = names_;
    changes_.clear();
    return true;
  }

  bool append(const std::string& name, stored_file& file, std::string_view bytes) {
    const bool works = !is_log(name) || !before_log_append || before_log_append();
    const std::lock_guard lock{mutex_};
    if (!has_power_) return false;
    if (!works) bytes = bytes.substr(0, bytes.size() / 2);
    file.bytes += bytes;
    return works;
  }
  bool sync(const std::string& name, stored_file& file) {
    const bool works = !is_log(name) || !before_log_sync || before_log_sync();
    const std::lock_guard lock{mutex_};
    if (is_table(name) && tables_until_cut_ != 0 && --tables_until_cut_ == 0) has_power_ = false;
    if (!has_power_) return false;
    file.sync_failed = file.sync_failed || !works;
    if (!file.sync_failed) file.synced = file.bytes.size();
    return works;
  }
  std::size_t size(const stored_file& file) const {
    const std::lock_guard lock{mutex_};
    return file.bytes.size();
  }
  /// Copies what is there into `scratch`. @return how much
  std::size_t read(const stored_file& file, std::size_t offset, std::size_t n, char* scratch) const {
    const std::lock_guard lock{mutex_};
    return offset >= file.bytes.size() ? 0 : file.bytes.copy(scratch, n, offset);
  }

 private:
  using names = std::map<std::string, stored_file_ptr>;
  /// A file that is new, is gone, or is called `to` from now on.
  struct name_change {
    std::string name;
    std::string to;
    stored_file_ptr file;
  };

  static void apply(const name_change& c, names& to) {
    if (c.file) {
      to[c.name] = c.file;
    } else {
      const auto node = to.extract(c.name);
      if (!c.to.empty()) to[c.to] = node.mapped();
    }
  }
  bool change(name_change c) {
    const std::lock_guard lock{mutex_};
    if (!has_power_) return false;
    apply(c, names_);
    changes_.push_back(std::move(c));
    return true;
  }
  void keep_some_names(std::mt19937_64& random) {
    names_ = synced_names_;
    const auto kept = random() % (changes_.size() + 1);
    for (std::size_t i = 0; i != kept; ++i) apply(changes_[i], names_);
    changes_.clear();
  }

  mutable std::mutex mutex_;
  names names_;
  names synced_names_;
  std::vector<name_change> changes_;  ///< since the directory was synced
  std::atomic<bool> has_power_{true};
  int tables_until_cut_ = 0;
};

namespace disk_detail {

inline rocksdb::IOStatus status(bool works) {
  return works ? rocksdb::IOStatus::OK() : rocksdb::IOStatus::IOError("the disk refuses");
}
inline rocksdb::IOStatus missing(const std::string& name) { return rocksdb::IOStatus::PathNotFound(name); }

class reader final : public rocksdb::FSRandomAccessFile, public rocksdb::FSSequentialFile {
 public:
  reader(disk_files& disk, stored_file_ptr file) : disk_{disk}, file_{std::move(file)} {}
  rocksdb::IOStatus Read(std::uint64_t offset, std::size_t n, const rocksdb::IOOptions&, rocksdb::Slice* out, char* scratch,
                         rocksdb::IODebugContext*) const override {
    *out = {scratch, disk_.read(*file_, offset, n, scratch)};
    return status(true);
  }
  rocksdb::IOStatus Read(std::size_t n, const rocksdb::IOOptions&, rocksdb::Slice* out, char* scratch, rocksdb::IODebugContext*) override {
    *out = {scratch, disk_.read(*file_, at_, n, scratch)};
    at_ += out->size();
    return status(true);
  }
  rocksdb::IOStatus Skip(std::uint64_t n) override {
    at_ += n;
    return status(true);
  }
  rocksdb::IOStatus InvalidateCache(std::size_t, std::size_t) override { return status(true); }
  bool use_direct_io() const override { return false; }
  std::size_t GetRequiredBufferAlignment() const override { return 1; }

 private:
  disk_files& disk_;
  stored_file_ptr file_;
  std::size_t at_ = 0;
};

class writer final : public rocksdb::FSWritableFile {
 public:
  writer(disk_files& disk, std::string name, stored_file_ptr file) : disk_{disk}, name_{std::move(name)}, file_{std::move(file)} {}
  rocksdb::IOStatus Append(const rocksdb::Slice& bytes, const rocksdb::IOOptions&, rocksdb::IODebugContext*) override {
    return status(disk_.append(name_, *file_, {bytes.data(), bytes.size()}));
  }
  using FSWritableFile::Append;
  rocksdb::IOStatus Sync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return status(disk_.sync(name_, *file_)); }
  rocksdb::IOStatus Flush(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return status(disk_.has_power()); }
  rocksdb::IOStatus Close(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return status(disk_.has_power()); }
  std::uint64_t GetFileSize(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return disk_.size(*file_); }

 private:
  disk_files& disk_;
  std::string name_;
  stored_file_ptr file_;
};

class directory final : public rocksdb::FSDirectory {
 public:
  explicit directory(disk_files& disk) : disk_{disk} {}
  rocksdb::IOStatus Fsync(const rocksdb::IOOptions&, rocksdb::IODebugContext*) override { return status(disk_.sync_names()); }

 private:
  disk_files& disk_;
};

class silence final : public rocksdb::Logger {
 public:
  using Logger::Logv;
  void Logv(const char*, va_list) override {}
};

/// RocksDB's file system over a disk. It keeps no copies of the options and no log of RocksDB's doings: nobody reads
/// them, and both cost more than all that is measured.
class file_system final : public rocksdb::FileSystem {
 public:
  explicit file_system(disk_files& disk) : disk_{disk} {}
  const char* Name() const override { return "simulated"; }

  using Status = rocksdb::IOStatus;
  using Options = rocksdb::IOOptions;
  using Debug = rocksdb::IODebugContext;

  Status NewSequentialFile(const std::string& name, const rocksdb::FileOptions&, std::unique_ptr<rocksdb::FSSequentialFile>* out, Debug*) override {
    return open<reader>(name, out);
  }
  Status NewRandomAccessFile(const std::string& name, const rocksdb::FileOptions&, std::unique_ptr<rocksdb::FSRandomAccessFile>* out, Debug*) override {
    return open<reader>(name, out);
  }
  Status NewWritableFile(const std::string& name, const rocksdb::FileOptions&, std::unique_ptr<rocksdb::FSWritableFile>* out, Debug*) override {
    if (name.find("OPTIONS-") != std::string::npos) return Status::NotSupported(name);
    auto file = disk_.create(name);
    if (!file) return status(false);
    *out = std::make_unique<writer>(disk_, name, std::move(file));
    return status(true);
  }
  Status NewDirectory(const std::string&, const Options&, std::unique_ptr<rocksdb::FSDirectory>* out, Debug*) override {
    *out = std::make_unique<directory>(disk_);
    return status(true);
  }
  Status FileExists(const std::string& name, const Options&, Debug*) override {
    return disk_.find(name) ? status(true) : Status::NotFound(name);
  }
  Status GetChildren(const std::string& name, const Options&, std::vector<std::string>* out, Debug*) override {
    *out = disk_.names_in(name);
    return status(true);
  }
  Status DeleteFile(const std::string& name, const Options&, Debug*) override { return disk_.remove(name) ? status(true) : missing(name); }
  Status RenameFile(const std::string& name, const std::string& to, const Options&, Debug*) override { return status(disk_.rename(name, to)); }
  Status GetFileSize(const std::string& name, const Options&, std::uint64_t* out, Debug*) override {
    const auto file = disk_.find(name);
    if (!file) return missing(name);
    *out = disk_.size(*file);
    return status(true);
  }
  Status GetFileModificationTime(const std::string&, const Options&, std::uint64_t* out, Debug*) override {
    *out = 0;
    return status(true);
  }
  Status CreateDir(const std::string&, const Options&, Debug*) override { return status(true); }
  Status CreateDirIfMissing(const std::string&, const Options&, Debug*) override { return status(true); }
  Status DeleteDir(const std::string&, const Options&, Debug*) override { return status(true); }
  Status LockFile(const std::string&, const Options&, rocksdb::FileLock** out, Debug*) override {
    *out = new held;
    return status(true);
  }
  Status UnlockFile(rocksdb::FileLock* lock, const Options&, Debug*) override {
    delete lock;
    return status(true);
  }
  Status GetTestDirectory(const Options&, std::string* out, Debug*) override {
    *out = "/test";
    return status(true);
  }
  Status GetAbsolutePath(const std::string& name, const Options&, std::string* out, Debug*) override {
    *out = name;
    return status(true);
  }
  Status IsDirectory(const std::string& name, const Options&, bool* out, Debug*) override {
    *out = disk_.find(name) == nullptr;
    return status(true);
  }
  Status NewLogger(const std::string&, const Options&, std::shared_ptr<rocksdb::Logger>* out, Debug*) override {
    *out = std::make_shared<silence>();
    return status(true);
  }

 private:
  struct held final : rocksdb::FileLock {};
  template <class File, class Out>
  Status open(const std::string& name, Out* out) {
    auto file = disk_.find(name);
    if (!file) return missing(name);
    *out = std::make_unique<File>(disk_, std::move(file));
    return status(true);
  }
  disk_files& disk_;
};

/// RocksDB rests for a second after each background error, before it looks whether there is another.
class restless final : public rocksdb::SystemClockWrapper {
 public:
  restless() : SystemClockWrapper{rocksdb::SystemClock::Default()} {}
  const char* Name() const override { return "restless"; }
  void SleepForMicroseconds(int) override { std::this_thread::yield(); }
};

class environment final : public rocksdb::EnvWrapper {
 public:
  explicit environment(disk_files& disk) : EnvWrapper{rocksdb::NewCompositeEnv(std::make_shared<file_system>(disk))} {
    system_clock_ = std::make_shared<restless>();
  }
};

}  // namespace disk_detail

/// The disk: what survives the end of a world.
struct disk {
  disk_files files;
  std::unique_ptr<rocksdb::Env> env = std::make_unique<disk_detail::environment>(files);
  std::string directory = "/usher-simulation";
};

}  // namespace usher::tests
