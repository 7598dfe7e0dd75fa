#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "models/gradients/flat_gradient.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::jobs {

enum class OptimizerKind { kAdamW, kSgd };

struct OptimizerConfig {
  OptimizerKind kind = OptimizerKind::kAdamW;
  double learning_rate = 5e-5;
  double beta1 = 0.9, beta2 = 0.999;  ///< AdamW
  double epsilon = 1e-8;              ///< AdamW
  double weight_decay = 0.01;         ///< AdamW: decoupled. SGD: added to the gradient. Not for Decay::kNo.
};

/// Whether a data rank keeps optimizer states for its share of the parameters only (ZeRO-1, Rajbhandari et al. 2020).
enum class StateSharding { kOff, kOverData };

/// Elements [begin, end) of a store's flat storage.
struct ElementRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};
/// Ranges that do not overlap, in rising order. Values "of the ranges" are one per element, range after range.
using ElementRanges = std::vector<ElementRange>;

/// Updates the elements of some ranges of a store's flat storage and keeps what it must remember of them. Updates are
/// element by element, so the bits do not depend on how the storage is divided among ranks.
class Optimizer {
 public:
  virtual ~Optimizer() = default;
  /// One update with the ranges' part of `gradient` [num_elements of the store] times `gradient_scale` (clipping) at
  /// `learning_rate`. Does not refresh compute copies. Throws invalid_argument for a gradient of another size or type.
  virtual void step(const models::FlatGradient& gradient, double gradient_scale, double learning_rate) = 0;

  /// Remembered between updates, one value per element of the ranges: "first_moment", fp32 [num_elements()].
  struct State {
    std::string name;
    at::Tensor values;
  };
  virtual std::vector<State> states() const = 0;

  const ElementRanges& ranges() const { return ranges_; }
  std::int64_t num_elements() const { return num_elements_; }  ///< of the ranges
  std::int64_t num_updates() const { return num_updates_; }
  /// Goes on after `num_updates` updates, once a checkpoint was loaded into the states.
  virtual void resume(std::int64_t num_updates) { num_updates_ = num_updates; }

 protected:
  Optimizer(const models::ParameterStore& store, ElementRanges ranges);
  void check_gradient(const at::Tensor& values) const;

  /// A part of one parameter, the unit of work of a thread.
  struct Chunk {
    std::int64_t begin, end;
    std::int64_t state;  ///< where its remembered values begin
    bool decays;
    double rate;  ///< share of the learning rate; 0: neither updated nor decayed
  };
  /// Neighbouring chunks that are updated alike as one: for updates of whole tensors.
  std::vector<Chunk> spans() const;

  const models::ParameterStore& store_;
  ElementRanges ranges_;
  std::int64_t num_elements_ = 0;
  std::vector<Chunk> chunks_;
  std::int64_t num_updates_ = 0;
};

/// Bytes that an optimizer remembers of each element.
std::int64_t state_bytes_per_element(OptimizerKind kind);

ElementRanges whole_range(const models::ParameterStore& store);
std::unique_ptr<Optimizer> make_optimizer(const models::ParameterStore& store, const OptimizerConfig& config,
                                          ElementRanges ranges);

}  // namespace meshfold::jobs
