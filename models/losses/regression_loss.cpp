#include <ATen/ATen.h>

#include <cmath>

#include "models/losses/loss_kinds.hpp"

namespace meshfold::models {
namespace {

void check_shapes(const at::Tensor& outputs, const at::Tensor& targets) {
  check_loss(outputs.sizes() == targets.sizes(), "outputs and targets differ in shape");
}

/// Under the root of rmse_elementwise, so that its gradient stays bounded at no error.
constexpr double kElementwiseEpsilon = 1e-9;

class ElementwiseLoss final : public Loss {
 public:
  ElementwiseLoss(const LossConfig& config, std::int64_t num_outputs)
      : config_(config),
        weights_(weight_row(config.target_weights, num_outputs, "target weights")),
        weight_sum_(weights_.sum(at::kDouble).item<double>()) {
    check_loss(config.kind != LossKind::kSmoothL1 || config.beta > 0.0, "beta of smooth-L1 must be positive");
  }

  double denominator(const at::Tensor& targets) const override {
    return static_cast<double>(targets.size(0)) * weight_sum_;
  }

  at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, const StepTotals& totals) const override {
    check_shapes(outputs, targets);
    check_loss(totals.denominator > 0.0, "the step has no samples");
    return (errors(outputs, targets) * weights_.to(outputs.device())).sum() / totals.denominator;
  }

 private:
  at::Tensor errors(const at::Tensor& outputs, const at::Tensor& targets) const {
    switch (config_.kind) {
      case LossKind::kMeanAbsoluteError:
        return at::l1_loss(outputs, targets, at::Reduction::None);
      case LossKind::kSmoothL1:
        return at::smooth_l1_loss(outputs, targets, at::Reduction::None, config_.beta);
      case LossKind::kElementwiseRmse:
        return (at::mse_loss(outputs, targets, at::Reduction::None) + kElementwiseEpsilon).sqrt();
      default:
        return at::mse_loss(outputs, targets, at::Reduction::None);
    }
  }

  LossConfig config_;
  at::Tensor weights_;  ///< [C]
  double weight_sum_;
};

/// The squared errors of the step in K sums S_k (rmse: one over all targets; mcrmse: one a target), and the loss
/// sum_k share_k sqrt(S_k / D), which is not a sum over samples. But the derivative of sqrt(S_k / D) is that of
/// S_k / (2 R_k D) with the root R_k held constant, and this is: a pack's loss is its part of the latter, once as it is
/// and once detached, since the halves S_k / (2 R_k D) of the value add up to half the root.
class RootMeanSquareLoss final : public Loss {
 public:
  RootMeanSquareLoss(const LossConfig& config, std::int64_t num_outputs)
      : per_target_(config.kind == LossKind::kMcrmse),
        weights_(weight_row(config.target_weights, num_outputs, "target weights")),
        weight_sum_(weights_.sum(at::kDouble).item<double>()) {}

  double denominator(const at::Tensor& targets) const override {
    const auto samples = static_cast<double>(targets.size(0));
    return per_target_ ? samples : samples * weight_sum_;
  }

  std::int64_t num_statistics() const override { return per_target_ ? weights_.size(0) : 1; }

  std::vector<double> statistics(const at::Tensor& outputs, const at::Tensor& targets) const override {
    check_shapes(outputs, targets);
    const at::Tensor sums = square_sums(outputs.detach().to(at::kDouble), targets.to(at::kDouble)).cpu().contiguous();
    const auto* first = sums.const_data_ptr<double>();
    return {first, first + sums.numel()};
  }

  at::Tensor operator()(const at::Tensor& outputs, const at::Tensor& targets, const StepTotals& totals) const override {
    check_shapes(outputs, targets);
    check_loss(totals.denominator > 0.0, "the step has no samples");
    check_loss(static_cast<std::int64_t>(totals.statistics.size()) == num_statistics(),
               "the step's statistics are missing");
    const at::Tensor half = (square_sums(outputs, targets) * factors(totals).to(outputs.device())).sum();
    return half + half.detach();
  }

 private:
  /// [K], in the type of the arguments. In rmse each squared error has its target's weight; in mcrmse the roots have.
  at::Tensor square_sums(const at::Tensor& outputs, const at::Tensor& targets) const {
    const at::Tensor squares = at::mse_loss(outputs, targets, at::Reduction::None);
    return per_target_ ? squares.sum(0) : (squares * weights_.to(squares.device())).sum().view({1});
  }

  /// share_k / (2 R_k D), fp32 [K]; 0 where there is no error at all: the root has no derivative there, and nothing is
  /// left to learn.
  at::Tensor factors(const StepTotals& totals) const {
    const auto* weights = weights_.const_data_ptr<float>();
    at::Tensor factors = at::zeros({num_statistics()}, at::kDouble);
    auto* out = factors.mutable_data_ptr<double>();
    for (std::size_t k = 0; k < totals.statistics.size(); ++k) {
      if (totals.statistics[k] == 0.0) continue;
      const double root = std::sqrt(totals.statistics[k] / totals.denominator);
      const double share = per_target_ ? static_cast<double>(weights[k]) / weight_sum_ : 1.0;
      out[k] = share / (2.0 * root * totals.denominator);
    }
    return factors.to(at::kFloat);
  }

  bool per_target_;
  at::Tensor weights_;  ///< [C]
  double weight_sum_;
};

}  // namespace

std::unique_ptr<Loss> make_elementwise_loss(const LossConfig& config, std::int64_t num_outputs) {
  return std::make_unique<ElementwiseLoss>(config, num_outputs);
}

std::unique_ptr<Loss> make_root_mean_square_loss(const LossConfig& config, std::int64_t num_outputs) {
  return std::make_unique<RootMeanSquareLoss>(config, num_outputs);
}

}  // namespace meshfold::models
