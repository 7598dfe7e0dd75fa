#pragma once

#include <string>
#include <string_view>

namespace meshfold::jobs::checkpoint {

/// SHA-256 (FIPS 180-4) as 64 lower-case hex digits. For the manifest's hash of itself, a few kilobytes: plain code, no
/// library.
std::string sha256_hex(std::string_view bytes);

}  // namespace meshfold::jobs::checkpoint
