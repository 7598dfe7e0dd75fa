#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "models/model.hpp"

namespace meshfold::jobs {

/// Named scores in printing order; the first is the one that selects checkpoints.
using Scores = std::vector<std::pair<std::string, double>>;

/// Regression: "mcrmse", then "rmse/<target>" each. Classification and multi-label: "log_loss", "accuracy". fp64 on
/// host tensors; rows are samples. predictions [n, C] (values or logits), targets [n, C], or [n, 1] class numbers.
Scores compute_scores(const models::HeadConfig& head, const at::Tensor& predictions, const at::Tensor& targets);

/// Whether a larger first score is better.
bool larger_is_better(const models::HeadConfig& head);

}  // namespace meshfold::jobs
