#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <utility>
#include <vector>

#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// Named scores in printing order; the first is the one that selects checkpoints. NaN: undefined on these samples.
using Scores = std::vector<std::pair<std::string, double>>;

/// The scores of predictions [n, C] (values or logits) against targets [n, C], or [n, 1] class numbers: fp64 on host
/// tensors, rows are samples, sums in row order. All metrics of the head's task (metric_kinds.hpp), then those of each
/// target, class or label where there are several; `first` in front. Definitions are scikit-learn's and scipy's
/// (docs/numerics.md, "Scores"). A score that the samples do not define is NaN, and means over targets, classes or
/// labels leave it out. Throws invalid_argument for shapes, class numbers or a `first` that do not fit.
Scores compute_scores(const models::HeadConfig& head, const at::Tensor& predictions, const at::Tensor& targets,
                      const std::string& first);

/// Those that a line or table has room for: the first three that are of no single label.
Scores headline(const Scores& scores);

}  // namespace meshfold::jobs
