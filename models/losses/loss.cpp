#include "models/losses/loss.hpp"

#include <ATen/ops/ones.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "models/losses/loss_kinds.hpp"

namespace meshfold::models {

void check_loss(bool holds, const std::string& problem) {
  if (!holds) throw std::invalid_argument("loss: " + problem);
}

at::Tensor weight_row(const std::vector<double>& weights, std::int64_t num_outputs, const std::string& name) {
  if (weights.empty()) return at::ones({num_outputs}, at::kFloat);
  check_loss(static_cast<std::int64_t>(weights.size()) == num_outputs,
             std::to_string(weights.size()) + " " + name + " for " + std::to_string(num_outputs) + " outputs");
  const auto is_weight = [](double weight) { return std::isfinite(weight) && weight >= 0.0; };
  check_loss(std::ranges::all_of(weights, is_weight), "one of the " + name + " is negative or not finite");
  check_loss(std::ranges::any_of(weights, [](double weight) { return weight > 0.0; }), "all " + name + " are 0");
  return at::tensor(weights, at::kDouble).to(at::kFloat);
}

std::vector<double> Loss::statistics(const at::Tensor& /*outputs*/, const at::Tensor& /*targets*/) const { return {}; }

std::unique_ptr<Loss> make_loss(const LossConfig& config, std::int64_t num_outputs) {
  switch (config.kind) {
    case LossKind::kMeanSquaredError:
    case LossKind::kMeanAbsoluteError:
    case LossKind::kSmoothL1:
    case LossKind::kElementwiseRmse:
      return make_elementwise_loss(config, num_outputs);
    case LossKind::kRmse:
    case LossKind::kMcrmse:
      return make_root_mean_square_loss(config, num_outputs);
    case LossKind::kCrossEntropy:
      return make_cross_entropy_loss(config, num_outputs);
    case LossKind::kBinaryCrossEntropy:
      return make_binary_cross_entropy_loss(config, num_outputs);
  }
  throw std::invalid_argument("loss: unknown kind");
}

}  // namespace meshfold::models
