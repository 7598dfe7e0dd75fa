#pragma once

#include <cstdint>
#include <string_view>

namespace meshfold::models {

/// CRC-32 as zip files use it (ISO 3309, reflected polynomial 0xEDB88320), eight bytes at a time.
std::uint32_t crc32(std::string_view bytes);

}  // namespace meshfold::models
