#pragma once

#include <filesystem>
#include <vector>

#include "jobs/checkpoint/manifest.hpp"
#include "jobs/checkpoint/store.hpp"

namespace meshfold::jobs::checkpoint {

/// Writes this rank's part of the pieces to `<directory>/shard-<rank>.safetensors`, fsyncs it and returns its part of
/// the manifest. Pieces that several ranks hold are cut along dim 0 so that these write about as many bytes each; a
/// rank with nothing to write makes no file. Rank-local.
Manifest write_shard(const std::filesystem::path& directory, const std::vector<Piece>& pieces, int rank);

}  // namespace meshfold::jobs::checkpoint
