#include "jobs/cv/replace_file.hpp"

#include <unistd.h>

#include <string>
#include <system_error>

#include "jobs/checkpoint/durable_file.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs {

void rename_durably(const std::filesystem::path& temporary, const std::filesystem::path& file) {
  std::error_code error;
  std::filesystem::rename(temporary, file, error);
  if (error) {
    throw StorageError(file.string() + ": rename failed: " + error.message() + "; check permissions of the directory");
  }
  checkpoint::sync_directory(file.has_parent_path() ? file.parent_path() : std::filesystem::path("."));
}

void replace_file(const std::filesystem::path& file, std::string_view contents) {
  auto temporary = file;
  temporary += ".tmp-" + std::to_string(::getpid());
  std::error_code ignored;  // what an earlier process of the same number may have left
  std::filesystem::remove(temporary, ignored);
  checkpoint::write_durably(temporary, contents);
  rename_durably(temporary, file);
}

}  // namespace meshfold::jobs
