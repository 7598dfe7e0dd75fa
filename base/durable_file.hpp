#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string_view>

/// Files that other ranks and later runs rely on: whole and on storage, or not there. Free of MPI and LibTorch; every
/// folder may include it.
namespace meshfold::base {

/// A write, sync or rename failed: file, call, the system's words, advice. Exit code 5.
class StorageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Everything below throws StorageError. A failed fsync is never tried again on the same file: the kernel may have
/// dropped the dirty pages, and the second call would lie.

enum class Existing { kEmpty, kRefuse };

/// A file whose bytes are on storage once sync() has returned.
class DurableFile {
 public:
  DurableFile(std::filesystem::path file, Existing existing);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(const void* bytes, std::size_t count);
  void sync();  ///< fsync and close; nothing can be written afterwards

 private:
  std::filesystem::path file_;
  int descriptor_;
};

/// Writes a file that must not exist yet, and syncs it.
void write_new_file(const std::filesystem::path& file, std::string_view contents);
/// Makes `file` hold `contents`, or leaves what was there: temporary name in the same directory, sync, rename, sync of
/// the directory.
void replace_file(const std::filesystem::path& file, std::string_view contents);
/// Makes an existing file's bytes durable.
void sync_file(const std::filesystem::path& file);
/// Makes the names in `directory` durable.
void sync_directory(const std::filesystem::path& directory);
/// Renames within one directory and makes the new name durable.
void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to);

}  // namespace meshfold::base
