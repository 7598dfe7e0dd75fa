#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>

#include "models/files/safetensors.hpp"

namespace meshfold::models {

/// What the JSON header of a .safetensors file says, after every check that needs no data.
struct SafetensorsHeader {
  std::map<std::string, SafetensorsFile::Entry> entries;
  std::map<std::string, std::string> metadata;
};

/// Parses and validates the header of `file`, whose tensors take `data_bytes` bytes after it. Throws ModelFileError.
SafetensorsHeader parse_safetensors_header(const std::filesystem::path& file, std::string_view json,
                                           std::uint64_t data_bytes);

}  // namespace meshfold::models
