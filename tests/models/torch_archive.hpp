#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/checksum.hpp"

/// Zip archives and pickles written by hand, for what torch would never write.
namespace meshfold::models::testing {

inline std::string little_endian(std::uint64_t value, std::size_t width) {
  std::string bytes;
  for (std::size_t i = 0; i < width; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  return bytes;
}

/// A zip archive of stored entries.
inline std::string zip_of(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string file, directory;
  for (const auto& [name, content] : entries) {
    const std::string sizes = little_endian(base::crc32(content), 4) + little_endian(content.size(), 4) +
                              little_endian(content.size(), 4) + little_endian(name.size(), 2) + little_endian(0, 2);
    const std::string common = little_endian(0, 4) + little_endian(0, 2) + little_endian(0, 4) + sizes;
    directory += "PK\x01\x02" + little_endian(0, 2) + common + little_endian(0, 2 + 2 + 2) + little_endian(0, 4) +
                 little_endian(file.size(), 4) + name;
    file += "PK\x03\x04" + common + name + content;
  }
  const std::string count = little_endian(entries.size(), 2);
  return file + directory + "PK\x05\x06" + little_endian(0, 4) + count + count + little_endian(directory.size(), 4) +
         little_endian(file.size(), 4) + little_endian(0, 2);
}

/// An archive as torch.save lays it out, with one storage of `storage_bytes` bytes 0, 1, 2 ...
inline std::string torch_archive(const std::string& pickle, std::size_t storage_bytes) {
  std::string storage;
  for (std::size_t i = 0; i < storage_bytes; ++i) storage += static_cast<char>(i);
  return zip_of({{"m/data.pkl", pickle}, {"m/byteorder", "little"}, {"m/data/0", storage}});
}

inline std::string pickled(const std::string& text) { return "X" + little_endian(text.size(), 4) + text; }
inline std::string pickled(std::int64_t number) {
  return std::string("\x8a\x08", 2) + little_endian(static_cast<std::uint64_t>(number), 8);
}
inline std::string pickled(const std::vector<std::int64_t>& numbers) {
  std::string items;
  for (const std::int64_t number : numbers) items += pickled(number);
  return "(" + items + "t";
}

struct TensorPickle {
  std::int64_t offset = 0;
  std::vector<std::int64_t> shape{4};
  std::vector<std::int64_t> strides{1};
  std::int64_t storage_elements = 4;
  std::string storage_class = "ctorch\nFloatStorage\n";
  std::string key = "0";
};

/// What builds one tensor on the stack.
inline std::string pickled(const TensorPickle& tensor) {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickled("storage") + tensor.storage_class + pickled(tensor.key) +
         pickled("cpu") + pickled(tensor.storage_elements) + "tQ" + pickled(tensor.offset) + pickled(tensor.shape) +
         pickled(tensor.strides) + "\x89" + "ccollections\nOrderedDict\n)RtR";
}

/// {"a": ...} of an instruction sequence that pushes one value.
inline std::string table_of(const std::string& value) { return "\x80\x02}" + pickled("a") + value + "s."; }

}  // namespace meshfold::models::testing
