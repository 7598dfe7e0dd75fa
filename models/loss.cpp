#include "models/loss.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>

namespace meshfold::models {
namespace {

void check(bool holds, const std::string& problem) {
  if (!holds) throw std::invalid_argument("loss: " + problem);
}

/// Sum over samples and targets over samples times targets.
class RegressionLoss final : public Loss {
 public:
  RegressionLoss(const LossConfig& config, std::int64_t num_outputs) : config_(config), num_outputs_(num_outputs) {
    check(config.kind != LossKind::kSmoothL1 || config.beta > 0.0, "beta of smooth-L1 must be positive");
  }

  double denominator(std::int64_t num_samples) const override {
    return static_cast<double>(num_samples * num_outputs_);
  }

  at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, double denominator) const override {
    check(denominator > 0.0, "the step has no samples");
    check(outputs.sizes() == targets.sizes(), "outputs and targets differ in shape");
    const at::Tensor sum = config_.kind == LossKind::kMeanSquaredError
                               ? at::mse_loss(outputs, targets, at::Reduction::Sum)
                               : at::smooth_l1_loss(outputs, targets, at::Reduction::Sum, config_.beta);
    return sum / denominator;
  }

 private:
  LossConfig config_;
  std::int64_t num_outputs_;
};

/// Negative log-likelihood of the class, mixed with that of the uniform distribution by label smoothing (Szegedy et
/// al., 2016).
class CrossEntropyLoss final : public Loss {
 public:
  CrossEntropyLoss(double label_smoothing, std::int64_t num_classes)
      : smoothing_(label_smoothing), num_classes_(num_classes) {
    check(smoothing_ >= 0.0 && smoothing_ < 1.0, "label smoothing must be in [0, 1)");
    check(num_classes_ >= 2, "cross-entropy needs at least two classes");
  }

  double denominator(std::int64_t num_samples) const override { return static_cast<double>(num_samples); }

  at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, double denominator) const override {
    check(denominator > 0.0, "the step has no samples");
    check(targets.dim() == 2 && targets.size(1) == 1 && targets.size(0) == outputs.size(0),
          "class numbers must be one a sample");
    const at::Tensor classes = targets.to(at::kLong);
    check(classes.numel() == 0 ||
              (classes.min().item<std::int64_t>() >= 0 && classes.max().item<std::int64_t>() < num_classes_),
          "a class number is outside 0 .. " + std::to_string(num_classes_ - 1));
    const at::Tensor log_probabilities = at::log_softmax(outputs, 1);
    const at::Tensor of_class = -log_probabilities.gather(1, classes).sum();
    const at::Tensor of_uniform = -log_probabilities.sum() / static_cast<double>(num_classes_);
    return (of_class * (1.0 - smoothing_) + of_uniform * smoothing_) / denominator;
  }

 private:
  double smoothing_;
  std::int64_t num_classes_;
};

}  // namespace

std::unique_ptr<Loss> make_loss(const LossConfig& config, std::int64_t num_outputs) {
  if (config.kind == LossKind::kCrossEntropy)
    return std::make_unique<CrossEntropyLoss>(config.label_smoothing, num_outputs);
  return std::make_unique<RegressionLoss>(config, num_outputs);
}

}  // namespace meshfold::models
