#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

// Scores in the order of metric_kinds(), of contiguous fp64 host tensors with at least one row.

/// One class for each row. `logits` [rows, classes]; `wanted` [rows, 1] class numbers, or [rows, classes] shares.
/// Throws invalid_argument for a class number that is none.
Scores classification_scores(const std::vector<std::string>& classes, const at::Tensor& logits,
                             const at::Tensor& wanted);

/// Any number of labels for each row. Both tensors are [rows, labels].
Scores multi_label_scores(const std::vector<std::string>& labels, const at::Tensor& logits, const at::Tensor& wanted);

}  // namespace meshfold::jobs
