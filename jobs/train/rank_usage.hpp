#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dist/mesh.hpp"

namespace meshfold::jobs {

/// What the steps of this process took on one rank: training steps alone, without evaluation and checkpoints.
struct RankUsage {
  dist::MeshCoordinates place;
  std::int64_t steps = 0;
  /// Payload bytes that the rank has sent, in all steps. What all ranks of the mesh agree on besides, some hundred
  /// bytes per step, is not of an axis and not counted.
  std::uint64_t data_bytes = 0, pipeline_bytes = 0, tensor_bytes = 0;
  std::uint64_t step_peak_bytes = 0;  ///< most bytes of tensors at once within a step; 0 if they are not counted
  std::uint64_t resident_bytes = 0;   ///< the most resident memory of the process so far
};

/// Measures around the steps of one rank.
class UsageMeter {
 public:
  /// `mesh` outlives this object.
  explicit UsageMeter(const dist::Mesh& mesh) : mesh_(mesh) { usage_.place = mesh.coordinates(); }
  void begin_step();
  void end_step();
  /// What every rank has measured, in the order of ranks. Collective over the mesh.
  std::vector<RankUsage> gather() const;

 private:
  std::array<std::uint64_t, 3> sent() const {
    return {mesh_.data().bytes_sent(), mesh_.pipeline().bytes_sent(), mesh_.tensor().bytes_sent()};
  }

  const dist::Mesh& mesh_;
  RankUsage usage_;
  std::array<std::uint64_t, 3> sent_before_{};
};

}  // namespace meshfold::jobs
