#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/train/exchange_layout.hpp"
#include "models/gradients/flat_gradient.hpp"

namespace meshfold::jobs {

/// What the ranks of a mesh exchange between backward and the next forward. Gradients are complete once they are summed
/// over the data axis, and, where every tensor rank had only its rows of tokens, over the tensor axis. With kOverData a
/// data rank gets only the gradients of its share of the parameter blocks, updates those, and the values are gathered;
/// the bits are those of kOff, since all sums are added in the same order and updates are element by element.
///
/// The data axis goes bucket by bucket from the end of the flat storage, the order in which backward completes
/// gradients: start() sends off what is complete while backward goes on. Frozen parameters take no part. All members
/// but the accessors are collective over the mesh; start() calls may differ from rank to rank.
class GradientExchange {
 public:
  /// The references outlive this object. `store` has the parameters of this rank's pipeline stage.
  GradientExchange(const models::ParameterStore& store, const dist::Mesh& mesh, StateSharding sharding,
                   std::int64_t bucket_bytes = kBucketBytes);

  /// The elements whose gradients this rank gets and whose values it updates.
  const ElementRanges& owned() const { return layout_.owned(); }
  /// kOverData is in force: the owned elements are this data rank's alone.
  bool sharded() const { return layout_.sharded(); }
  /// Whether the sums of a rank's packs change in place on the way to complete gradients.
  bool changes_sums() const { return mesh_.data().size() > 1 || !layout_.partial().empty(); }
  /// What one step sends (ExchangeLayout::bytes_sent).
  AxisBytes bytes_sent() const { return layout_.bytes_sent(blocks_of_model_); }
  /// Begins the sums over the data axis of the buckets that lie behind element `first` of the flat gradient, as far as
  /// they are not begun, and lets those under way advance. They must not be touched until reduce() has returned.
  void start(const at::Tensor& flat_gradient, std::int64_t first);
  /// Begins what is left and waits for all; on return the owned elements are complete and the others spent.
  void reduce(const at::Tensor& flat_gradient);
  /// L2 norm of the whole model's gradient after reduce(): every shard counts once and every copy once. Equal bits on
  /// every rank. Block sums are added in the order of the whole model's blocks (docs/numerics.md).
  double norm(const models::FlatGradient& gradient) const;
  /// After the update: brings every rank the values that others own.
  void gather_values() const;

 private:
  void sum_over_tensor(const at::Tensor& flat_gradient) const;

  const models::ParameterStore& store_;
  const dist::Mesh& mesh_;
  ExchangeLayout layout_;
  std::int64_t blocks_before_ = 0, blocks_of_model_ = 0;  ///< of lower stages; of all

  std::size_t num_waiting_;  ///< buckets that are not begun: the first ones
  std::vector<std::unique_ptr<dist::Work>> under_way_;
};

}  // namespace meshfold::jobs
