#pragma once

#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace meshfold::base {

/// A file that cannot be opened, examined or mapped, or is no regular file: "a.csv: cannot be opened: No such file or
/// directory". Exit code 3; libraries turn it into the error of their inputs.
class UnreadableFile : public std::runtime_error {
 public:
  UnreadableFile(const std::filesystem::path& file, const std::string& problem, int error)
      : std::runtime_error(file.string() + ": " + problem), problem_(problem), error_(error) {}

  const std::string& problem() const { return problem_; }  ///< what() without the file
  int error() const { return error_; }                     ///< errno; EISDIR of anything that is no regular file

 private:
  std::string problem_;
  int error_;
};

/// A regular file mapped into memory, read only. Throws UnreadableFile.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  MappedFile& operator=(MappedFile&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  std::size_t size() const { return size_; }
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;  ///< null for an empty file
  std::size_t size_ = 0;
};

}  // namespace meshfold::base
