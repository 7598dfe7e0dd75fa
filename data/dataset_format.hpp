#pragma once

#include <cstdint>
#include <string_view>

/// What the writer and the reader of the dataset file both must say (docs/file-formats.md).
namespace meshfold::data {

inline constexpr std::string_view kDatasetFormat = "meshfold-dataset";
/// Raised when a file of the old version can no longer be read; part of the cache key.
inline constexpr std::string_view kDatasetFormatVersion = "1";
/// Raw data begins at multiples of this, so that a mapped column is aligned for its type and starts on a page.
inline constexpr std::uint64_t kDatasetAlignment = 4096;

}  // namespace meshfold::data
