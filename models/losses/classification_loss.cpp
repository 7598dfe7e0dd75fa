#include <ATen/ATen.h>

#include "models/losses/loss_kinds.hpp"

namespace meshfold::models {
namespace {

/// Negative log-likelihood of the class, mixed with that of the uniform distribution by label smoothing (Szegedy et
/// al., 2016). Weights and smoothing together as torch has them: the uniform part is weighted by class, and both parts
/// are divided by the same sum of weights.
class CrossEntropyLoss final : public Loss {
 public:
  CrossEntropyLoss(const LossConfig& config, std::int64_t num_classes)
      : smoothing_(config.label_smoothing),
        num_classes_(num_classes),
        weights_(weight_row(config.class_weights, num_classes, "class weights")) {
    check_loss(smoothing_ >= 0.0 && smoothing_ < 1.0, "label smoothing must be in [0, 1)");
    check_loss(num_classes_ >= 2, "cross-entropy needs at least two classes");
  }

  double denominator(const at::Tensor& targets) const override {
    if (gives_shares(targets)) return static_cast<double>(targets.size(0));
    const at::Tensor weights = weights_.to(targets.device(), at::kDouble);
    return weights.index_select(0, classes_of(targets).view({-1})).sum().item<double>();
  }

  at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, const StepTotals& totals) const override {
    check_loss(outputs.size(0) == targets.size(0), "there must be one row of targets a sample");
    check_loss(totals.denominator > 0.0, "the step has no samples whose class has a weight");
    const at::Tensor weighted = -at::log_softmax(outputs, 1) * weights_.to(outputs.device());
    const at::Tensor of_label =
        gives_shares(targets) ? (weighted * targets).sum() : weighted.gather(1, classes_of(targets)).sum();
    const at::Tensor of_uniform = weighted.sum() / static_cast<double>(num_classes_);
    return (of_label * (1.0 - smoothing_) + of_uniform * smoothing_) / totals.denominator;
  }

 private:
  /// Whether the rows are probabilities of all classes, rather than the number of one.
  bool gives_shares(const at::Tensor& targets) const {
    check_loss(targets.dim() == 2 && (targets.size(1) == 1 || targets.size(1) == num_classes_),
               "targets must be one class number a sample, or one share a class");
    return targets.size(1) != 1;
  }

  /// int64 [n, 1]
  at::Tensor classes_of(const at::Tensor& targets) const {
    at::Tensor classes = targets.to(at::kLong);
    check_loss(classes.numel() == 0 ||
                   (classes.min().item<std::int64_t>() >= 0 && classes.max().item<std::int64_t>() < num_classes_),
               "a class number is outside 0 .. " + std::to_string(num_classes_ - 1));
    return classes;
  }

  double smoothing_;
  std::int64_t num_classes_;
  at::Tensor weights_;  ///< [C]
};

/// Each output is the logit of one label; targets are 0, 1 or a probability.
class BinaryCrossEntropyLoss final : public Loss {
 public:
  BinaryCrossEntropyLoss(const LossConfig& config, std::int64_t num_labels)
      : positive_weight_(weight_row(config.positive_weight, num_labels, "positive weights")) {}

  double denominator(const at::Tensor& targets) const override { return static_cast<double>(targets.numel()); }

  at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, const StepTotals& totals) const override {
    check_loss(outputs.sizes() == targets.sizes(), "outputs and targets differ in shape");
    check_loss(totals.denominator > 0.0, "the step has no samples");
    check_loss(targets.numel() == 0 || (targets.min().item<float>() >= 0.0F && targets.max().item<float>() <= 1.0F),
               "a target of binary cross-entropy is outside 0 .. 1");
    return at::binary_cross_entropy_with_logits(outputs, targets, {}, positive_weight_.to(outputs.device()),
                                                at::Reduction::Sum) /
           totals.denominator;
  }

 private:
  at::Tensor positive_weight_;  ///< [C]
};

}  // namespace

std::unique_ptr<Loss> make_cross_entropy_loss(const LossConfig& config, std::int64_t num_outputs) {
  return std::make_unique<CrossEntropyLoss>(config, num_outputs);
}

std::unique_ptr<Loss> make_binary_cross_entropy_loss(const LossConfig& config, std::int64_t num_outputs) {
  return std::make_unique<BinaryCrossEntropyLoss>(config, num_outputs);
}

}  // namespace meshfold::models
