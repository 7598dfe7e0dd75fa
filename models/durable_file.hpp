#pragma once

#include <cstddef>
#include <filesystem>

namespace meshfold::models {

/// A new file (or an emptied one) whose bytes are on storage once sync() has returned. Failures are std::system_error
/// with call and file; a failed sync is not to be tried again on the same file.
class DurableFile {
 public:
  explicit DurableFile(std::filesystem::path file);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(const void* bytes, std::size_t count);
  void sync();  ///< fsync and close; nothing can be written afterwards

 private:
  std::filesystem::path file_;
  int descriptor_;
};

/// Makes the entries of `directory` (names made or renamed in it) durable.
void sync_directory(const std::filesystem::path& directory);

}  // namespace meshfold::models
