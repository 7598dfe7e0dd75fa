#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/mapped_file.hpp"
#include "data/hdf5_handle.hpp"

namespace meshfold::data {

/// The bytes of one HDF5 dataset and its extents; the bytes lie in a mapped file or are its own.
struct Column {
  const std::byte* data = nullptr;
  std::vector<std::uint64_t> extents;
  std::vector<std::byte> copy;  ///< used when the column was not mapped

  std::uint64_t size() const {
    std::uint64_t product = 1;
    for (const std::uint64_t extent : extents) product *= extent;
    return product;
  }
  template <typename T>
  std::span<const T> as() const {
    return {reinterpret_cast<const T*>(data), static_cast<std::size_t>(size())};
  }
};

/// Opens a dataset file and hands out its columns after checking type, layout, extents and place in the file. Every
/// fault is an InputError that names the file.
class DatasetColumns {
 public:
  /// `mapped` null: columns are copied.
  DatasetColumns(const std::filesystem::path& file, const base::MappedFile* mapped);

  std::map<std::string, std::string> attributes() const;
  bool has(const char* name) const;
  /// `type` is the H5T_STD_... type of `bytes_per_value` bytes; `num_dims` 1 or 2.
  Column load(const char* name, hid_t type, std::size_t bytes_per_value, std::size_t num_dims) const;
  [[noreturn]] void reject(const std::string& problem) const;

 private:
  std::filesystem::path path_;
  const base::MappedFile* mapped_;
  Hdf5File file_;
};

}  // namespace meshfold::data
