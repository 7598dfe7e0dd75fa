#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "models/model.hpp"

namespace meshfold::models {

enum class LossKind { kMeanSquaredError, kSmoothL1, kCrossEntropy };

struct LossConfig {
  LossKind kind = LossKind::kMeanSquaredError;
  double label_smoothing = 0.0;  ///< cross-entropy only, in [0, 1)
  double beta = 1.0;             ///< smooth-L1: where it turns from quadratic to linear
};

/// An additive loss: a sum over samples over a denominator that every rank computes from the plan. Evaluating packs one by one with
/// the step's denominator and adding the results gives the step's loss, whatever the packing.
class Loss {
 public:
  virtual ~Loss() = default;
  /// Denominator of a step of `num_samples` samples.
  virtual double denominator(std::int64_t num_samples) const = 0;
  /// Scalar fp32, differentiable: sum over the rows / denominator. outputs [n, C] fp32; targets fp32 [n, C], or [n, 1] class
  /// numbers for cross-entropy. n = 0 gives 0.
  virtual at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, double denominator) const = 0;
};

/// MSE and smooth-L1 are means over samples and targets; cross-entropy with label smoothing as torch.nn.CrossEntropyLoss (mean over samples).
std::unique_ptr<Loss> make_loss(const LossConfig& config, std::int64_t num_outputs);

}  // namespace meshfold::models
