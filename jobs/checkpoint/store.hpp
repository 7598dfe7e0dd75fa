#pragma once

#include <ATen/core/Tensor.h>
#include <nlohmann/json.hpp>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "dist/process_group.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs::checkpoint {

/// The ranks that hold the same piece, of which each writes a part.
struct Copies {
  /// Pieces of one kind are held together: whoever holds one of them holds all that its kin hold, in the same order.
  int kind = 0;
  int index = 0, count = 1;  ///< this rank among them
};

/// One named tensor of a training state as this rank holds it, in model coordinates.
struct Piece {
  std::string name;  ///< "model/<parameter>", "optimizer/first_moment/<parameter>", ...
  std::vector<std::int64_t> global_shape;
  models::Box box;    ///< what `tensor` covers
  at::Tensor tensor;  ///< dense, on any device
  Copies copies = {};
};

/// The checkpoints of one job: `<job>/checkpoint-<step>/`, committed and immutable, or not there
/// (docs/file-formats.md). commit: every rank writes its shard into `<job>/.tmp-<step>-<unique>/` and fsyncs it, the
/// ranks agree that all succeeded, rank 0 checks that the boxes tile every tensor once, writes manifest.json (shapes,
/// boxes, file ranges, XXH3-128 per 8 MiB block, state, SHA-256 of itself), fsyncs, renames, fsyncs the parent.
class Store {
 public:
  Store(std::filesystem::path job_directory, dist::ProcessGroup& group);

  /// Collective. `state` (step, cursor, hashes, scores ...) must be equal on all ranks. Throws StorageError on every
  /// rank if any failed; then no directory checkpoint-<step> exists. A step that is already committed is left as it is.
  void commit(std::int64_t step, const std::vector<Piece>& pieces, const nlohmann::json& state);

  /// Steps of all committed checkpoints, ascending. Rank-local read of the directory.
  std::vector<std::int64_t> list() const;

  struct Found {
    std::int64_t step;
    nlohmann::json state;
  };
  /// Collective: rank 0 picks the newest checkpoint whose manifest and files verify, and broadcasts it. One that does
  /// not verify is renamed to `bad-checkpoint-<step>` (a note is returned through `notes`) and the next older is taken.
  /// nullopt if there is none.
  std::optional<Found> find_newest(std::vector<std::string>& notes);
  /// The given step, verified; CheckpointError if it is absent or damaged. Collective.
  Found find(std::int64_t step);

  /// Fills each piece's tensor from the checkpoint by box intersection, so any layout can read any other. Names, global
  /// shapes and dtypes must match exactly; with kExact the names of all ranks' pieces must be those of the checkpoint.
  /// Every rank checks the block checksums of what it reads. Collective.
  enum class Names { kExact, kSubset };
  void load(std::int64_t step, const std::vector<Piece>& pieces, Names names);

  /// Removes committed checkpoints but the newest `keep_last` and the `protected_steps`, never the only one.
  /// Collective; also clears .tmp-* of earlier crashes.
  void retain(int keep_last, const std::vector<std::int64_t>& protected_steps);

 private:
  std::filesystem::path directory_;
  dist::ProcessGroup& group_;
};

/// Checks one committed checkpoint without a job: manifest hash, sizes, block checksums, tiling. Returns the faults,
/// none if it is good.
std::vector<std::string> verify_checkpoint(const std::filesystem::path& checkpoint_directory);

}  // namespace meshfold::jobs::checkpoint
