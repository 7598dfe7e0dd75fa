#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

struct XXH3_state_s;

/// Checksums as files hold them, computed by the libraries that are good at it. Hex digits are lower-case.
namespace meshfold::base {

/// XXH3-128 as 32 hex digits: what content is known by.
std::string xxh3_128_hex(std::string_view bytes);
/// XXH3-64 as 16 hex digits.
std::string xxh3_64_hex(std::string_view bytes);

/// XXH3-128 of content that comes in pieces.
class Xxh3Stream {
 public:
  Xxh3Stream();
  ~Xxh3Stream();
  Xxh3Stream(const Xxh3Stream&) = delete;
  Xxh3Stream& operator=(const Xxh3Stream&) = delete;

  void add(const void* bytes, std::size_t count);
  void add(std::string_view bytes) { add(bytes.data(), bytes.size()); }
  std::string hex() const;  ///< as xxh3_128_hex of all pieces in one

 private:
  XXH3_state_s* state_;
};

/// SHA-256 (FIPS 180-4) as 64 hex digits. Throws runtime_error if libcrypto refuses to compute it.
std::string sha256_hex(std::string_view bytes);

/// CRC-32 as zip files hold it (ISO 3309, reflected polynomial 0xEDB88320).
std::uint32_t crc32(std::string_view bytes);

/// CRC-32C as records of TensorBoard hold it (Castagnoli; RFC 3720, B.4).
std::uint32_t crc32c(std::string_view bytes);

}  // namespace meshfold::base
