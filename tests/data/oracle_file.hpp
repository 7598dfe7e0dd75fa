#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace meshfold::data {

/// A file that oracles/binary.py wrote: 32-bit numbers and length-prefixed texts, read in the order they were written.
class OracleFile {
 public:
  explicit OracleFile(const std::filesystem::path& path) : path_(path), stream_(path, std::ios::binary) {
    if (!stream_) throw std::runtime_error(path.string() + " is missing; run the test's oracle first (ctest does)");
  }
  bool at_end() { return stream_.peek() == std::ifstream::traits_type::eof(); }
  std::uint32_t number() {
    std::uint32_t value = 0;
    read(&value, sizeof value);
    return value;
  }
  std::string text() {
    std::string value(number(), '\0');
    read(value.data(), value.size());
    return value;
  }
  std::vector<std::int32_t> ids() {
    std::vector<std::int32_t> values(number());
    read(values.data(), values.size() * sizeof(std::int32_t));
    return values;
  }

 private:
  void read(void* to, std::size_t size) {
    stream_.read(static_cast<char*>(to), static_cast<std::streamsize>(size));
    if (!stream_) throw std::runtime_error(path_.string() + " is too short");
  }
  std::filesystem::path path_;
  std::ifstream stream_;
};

/// The directory that an oracle filled.
inline std::filesystem::path oracle_directory(const char* name) {
  const char* root = std::getenv("MESHFOLD_ORACLES");
  if (root == nullptr) throw std::runtime_error("MESHFOLD_ORACLES is not set; run the test through ctest");
  return std::filesystem::path(root) / name;
}

}  // namespace meshfold::data
