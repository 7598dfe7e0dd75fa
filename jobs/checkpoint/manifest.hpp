#pragma once

#include <c10/core/ScalarType.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "jobs/checkpoint/verified_file.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs::checkpoint {

inline constexpr std::string_view kManifestName = "manifest.json";

/// Where one box of a tensor lies: bytes [begin, end) of a file, row-major.
struct StoredPiece {
  models::Box box;
  std::string file;
  std::uint64_t begin = 0, end = 0;
};

struct StoredTensor {
  at::ScalarType type = at::kFloat;
  std::vector<std::int64_t> shape;
  std::vector<StoredPiece> pieces;
};

/// What a checkpoint holds; the file that makes it one. Its text begins with `{"sha256": "<64 digits>"`: SHA-256 of the
/// text with these digits as zeros.
struct Manifest {
  std::int64_t step = 0;
  bool finite = true;  ///< no tensor has an infinity or NaN
  nlohmann::json state;
  std::map<std::string, StoredTensor> tensors;
  std::map<std::string, FileDigest> files;
};

/// A shard's part of the manifest, as JSON text that ranks exchange.
std::string shard_text(const Manifest& shard);
/// Adds one rank's part. Throws StorageError if two ranks disagree on a tensor's shape or dtype.
void merge_shard(Manifest& manifest, const std::string& text);

std::string manifest_text(const Manifest& manifest);
/// Throws CheckpointError, naming `file`, if the text is not a manifest of this version or its SHA-256 differs.
Manifest parse_manifest(const std::string& text, const std::filesystem::path& file);
Manifest read_manifest(const std::filesystem::path& checkpoint_directory);

/// What keeps the pieces from tiling every tensor exactly once, in sentences; none if they do.
std::vector<std::string> tiling_faults(const Manifest& manifest);

/// "F32", "BF16" ...; throws invalid_argument for a type that checkpoints do not store.
const char* type_name(at::ScalarType type);

}  // namespace meshfold::jobs::checkpoint
