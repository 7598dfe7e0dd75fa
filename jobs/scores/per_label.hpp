#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

/// Column `index` of an fp64 host tensor [rows, labels].
std::vector<double> column_of(const at::Tensor& matrix, std::int64_t index);

/// Appends "<metric>/<label>" for each label.
void append_per_label(Scores& scores, const std::string& metric, const std::vector<std::string>& labels,
                      const std::vector<double>& values);

}  // namespace meshfold::jobs
