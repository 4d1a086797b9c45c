#include "store/copy.hpp"

#include <filesystem>

#include "store/filesystem.hpp"

namespace usher::store {

result<std::unique_ptr<database_copy>> database_copy::make(database& of, std::string directory) {
  if (auto made = make_private_directory(std::filesystem::path{directory}.parent_path().string()); !made) return made.error();
  std::unique_ptr<database_copy> out{new database_copy{std::move(directory)}};
  if (auto copied = of.copy_to(out->directory_); !copied) return copied.error();
  auto opened = database::open_read_only(out->directory_);
  if (!opened) return opened.error();
  out->db_ = std::move(*opened);
  return out;
}

database_copy::~database_copy() {
  db_.reset();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

}  // namespace usher::store
