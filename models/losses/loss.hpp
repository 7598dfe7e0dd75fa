#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "models/networks/model.hpp"

namespace meshfold::models {

enum class LossKind {
  kMeanSquaredError,
  kMeanAbsoluteError,
  kSmoothL1,
  kElementwiseRmse,  ///< mean over samples and targets of sqrt((p - t)^2 + 1e-9)
  kRmse,             ///< sqrt of the mean over samples and targets of (p - t)^2; step-coupled
  kMcrmse,           ///< mean over targets of the root of the mean over samples of (p - t)^2; step-coupled
  kCrossEntropy,
  kBinaryCrossEntropy,
};

struct LossConfig {
  LossKind kind = LossKind::kMeanSquaredError;
  double label_smoothing = 0.0;              ///< cross-entropy only, in [0, 1)
  double beta = 1.0;                         ///< smooth-L1: where it turns from quadratic to linear
  std::vector<double> class_weights = {};    ///< cross-entropy: one a class, or none
  std::vector<double> positive_weight = {};  ///< binary cross-entropy: one a label, or none
  /// Regression: one a target, or none; means over targets become weighted means.
  std::vector<double> target_weights = {};
};

/// What the packs of one step share; equal on every rank, so neither packing nor layout changes the mathematics.
struct StepTotals {
  double denominator = 0.0;        ///< Loss::denominator of the step's targets
  std::vector<double> statistics;  ///< step-coupled losses: Loss::statistics summed over the step's samples
};

/// A loss of a step that is cut into packs: evaluating the packs one by one with the step's totals and adding the
/// results gives the step's loss and its gradient, whatever the packing. An *additive* loss is a sum over samples over
/// the denominator. A *step-coupled* one is a function of sums over all samples of the step, which must be known before
/// any pack's gradient: it has num_statistics() > 0.
/// outputs [n, C] fp32. targets fp32 [n, C]; for cross-entropy [n, 1] class numbers or [n, C] class probabilities.
/// Every member throws invalid_argument for shapes and targets that do not fit.
class Loss {
 public:
  virtual ~Loss() = default;
  /// From the targets of all samples of the step, which every rank knows from the plan.
  virtual double denominator(const at::Tensor& targets) const = 0;
  /// How many sums over the step's samples the gradients depend on; 0 for an additive loss.
  virtual std::int64_t num_statistics() const { return 0; }
  /// These sums over the given rows: fp64 on the host, [num_statistics()].
  virtual std::vector<double> statistics(const at::Tensor& outputs, const at::Tensor& targets) const;
  /// Scalar fp32, differentiable: what the rows contribute to the step's loss. n = 0 gives 0.
  virtual at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets,
                                const StepTotals& totals) const = 0;
};

/// Losses equal those of torch with reduction = mean. Regression: means over samples and targets (over targets:
/// weighted). Cross-entropy: as torch.nn.CrossEntropyLoss with weight and label_smoothing; with class numbers the
/// denominator is the sum of the weights of the step's classes, with class probabilities the number of samples. Binary
/// cross-entropy: as torch.nn.BCEWithLogitsLoss with pos_weight, mean over samples and labels. Throws invalid_argument
/// for numbers of weights that do not fit `num_outputs`, and for settings out of range.
std::unique_ptr<Loss> make_loss(const LossConfig& config, std::int64_t num_outputs);

}  // namespace meshfold::models
