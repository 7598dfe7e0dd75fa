#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "dist/mesh.hpp"
#include "jobs/train/optimizer.hpp"
#include "models/parameter_blocks.hpp"

namespace meshfold::jobs {

/// Whether a data rank keeps optimizer states for its share of the parameters only (ZeRO-1, Rajbhandari et al. 2020).
enum class StateSharding { kOff, kOverData };

/// The elements of each of `ranks` data ranks under kOverData: contiguous, of near-equal size, whole blocks.
std::vector<ElementRange> share_elements(const models::ParameterStore& store, int ranks);

/// What the ranks of a mesh exchange between backward and the next forward. Gradients are complete once they are summed
/// over the data axis, and, where every tensor rank had only its rows of tokens, over the tensor axis. With kOverData a
/// data rank gets only the gradients of its share of the parameter blocks, updates those, and the values are gathered;
/// the bits are those of kOff, since all sums are added in the same order and updates are element by element. All
/// members are collective over the mesh.
class GradientExchange {
 public:
  /// The arguments outlive this object. `store` has the parameters of this rank's pipeline stage.
  GradientExchange(const models::ParameterStore& store, const dist::Mesh& mesh, StateSharding sharding);

  /// The elements whose gradients this rank gets and whose values it updates.
  ElementRange owned() const { return owned_; }
  /// kOverData is in force: the owned elements are this data rank's alone.
  bool sharded() const { return sharded_; }
  /// Sums a flat gradient over the mesh; on return the owned elements are complete and the others spent.
  void reduce(const at::Tensor& flat_gradient) const;
  /// L2 norm of the whole model's gradient after reduce(): every shard counts once and every copy once. Equal bits on
  /// every rank. Block sums are added in the order of the whole model's blocks (docs/numerics.md).
  double norm(const at::Tensor& flat_gradient) const;
  /// After the update: brings every rank the values that others own.
  void gather_values() const;

 private:
  void sum_over_tensor(const at::Tensor& flat_gradient) const;

  const models::ParameterStore& store_;
  const dist::Mesh& mesh_;
  bool sharded_;
  std::vector<models::ParameterBlock> blocks_;
  std::size_t first_block_ = 0, end_block_ = 0;           ///< owned
  std::int64_t blocks_before_ = 0, blocks_of_model_ = 0;  ///< of lower stages; of all
  std::vector<std::int64_t> elements_of_ranks_;           ///< [data ranks]
  ElementRange owned_;
  std::vector<ElementRange> partial_;  ///< owned elements whose gradients are parts of a sum over the tensor axis
};

}  // namespace meshfold::jobs
