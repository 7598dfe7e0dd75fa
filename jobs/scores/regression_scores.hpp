#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

/// Scores in the order of metric_kinds(), of contiguous fp64 host tensors [rows, targets], at least one row.
Scores regression_scores(const std::vector<std::string>& targets, const at::Tensor& predictions,
                         const at::Tensor& wanted);

}  // namespace meshfold::jobs
