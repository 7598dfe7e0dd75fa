#pragma once

#include <cstdint>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/train/gradient_buckets.hpp"
#include "jobs/train/optimizer.hpp"
#include "models/gradients/parameter_blocks.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs {

/// Bytes that a rank sends on each axis of its mesh, as dist::ProcessGroup::bytes_sent counts them.
struct AxisBytes {
  std::int64_t data = 0, pipeline = 0, tensor = 0;
  AxisBytes& operator+=(const AxisBytes& other);
};

/// What of its parameters a rank exchanges with whom. GradientExchange does it; a plan asks without groups.
class ExchangeLayout {
 public:
  /// `store` has the parameters of the rank's pipeline stage; it may lie on any device.
  ExchangeLayout(const models::ParameterStore& store, const dist::MeshShape& mesh, const dist::MeshCoordinates& place,
                 StateSharding sharding, std::int64_t bucket_bytes);

  /// Whether kOverData is in force: the owned elements are this data rank's alone.
  bool sharded() const { return sharded_; }
  const std::vector<models::ParameterBlock>& blocks() const { return blocks_; }
  const std::vector<GradientBucket>& buckets() const { return buckets_; }
  /// The share of every bucket that is this rank's: its data rank if the states are sharded, else the only one.
  std::size_t share() const { return sharded_ ? static_cast<std::size_t>(place_.data) : 0; }
  /// The elements whose gradients this rank gets and whose values it updates.
  const ElementRanges& owned() const { return owned_; }
  /// Owned elements whose gradients are parts of a sum over the tensor axis.
  const ElementRanges& partial() const { return partial_; }
  /// What one step's exchange sends: gradients, values, and a slot of the norm per block of the model (of all stages)
  /// and tensor rank.
  AxisBytes bytes_sent(std::int64_t blocks_of_model) const;

 private:
  void note_partial(const models::ParameterStore& store);

  dist::MeshShape mesh_;
  dist::MeshCoordinates place_;
  bool sharded_;
  std::vector<models::ParameterBlock> blocks_;
  std::vector<GradientBucket> buckets_;
  ElementRanges owned_, partial_;
};

}  // namespace meshfold::jobs
