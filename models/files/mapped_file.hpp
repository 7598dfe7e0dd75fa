#pragma once

#include <cstdint>
#include <filesystem>
#include <string_view>

namespace meshfold::models {

/// A whole file of tensors, mapped for reading. Throws ModelFileError if it cannot be read or has fewer than
/// `least_bytes` bytes, at least one.
class MappedFile {
 public:
  MappedFile(const std::filesystem::path& file, std::uint64_t least_bytes);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* bytes() const { return static_cast<const char*>(address_); }
  std::uint64_t size() const { return size_; }
  std::string_view view() const { return {bytes(), size_}; }

 private:
  void* address_ = nullptr;
  std::uint64_t size_ = 0;
};

}  // namespace meshfold::models
