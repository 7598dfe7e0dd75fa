#pragma once

#include <cstddef>
#include <filesystem>
#include <string_view>
#include <utility>

namespace meshfold::data {

/// A regular file mapped into memory, read only. Throws InputError with the file and the system's words if that fails.
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

  const std::byte* data() const { return static_cast<const std::byte*>(data_); }
  std::size_t size() const { return size_; }
  std::string_view bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  void* data_ = nullptr;  ///< null for an empty file
  std::size_t size_ = 0;
};

}  // namespace meshfold::data
