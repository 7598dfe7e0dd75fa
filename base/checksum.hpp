#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// Checksums as files hold them, computed by the libraries that are good at it.
namespace meshfold::base {

/// SHA-256 (FIPS 180-4) as 64 lower-case hex digits. Throws runtime_error if libcrypto refuses to compute it.
std::string sha256_hex(std::string_view bytes);

/// CRC-32 as zip files hold it (ISO 3309, reflected polynomial 0xEDB88320).
std::uint32_t crc32(std::string_view bytes);

/// CRC-32C as records of TensorBoard hold it (Castagnoli; RFC 3720, B.4).
std::uint32_t crc32c(std::string_view bytes);

}  // namespace meshfold::base
