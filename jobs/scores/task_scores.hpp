#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

// The scores of each task, in the order of metric_kinds(); compute_scores has checked the shapes. Contiguous fp64 host
// tensors.

Scores regression_scores(const std::vector<std::string>& targets, const at::Tensor& predictions,
                         const at::Tensor& wanted);
Scores classification_scores(const std::vector<std::string>& classes, const at::Tensor& logits,
                             const at::Tensor& wanted);
Scores multi_label_scores(const std::vector<std::string>& labels, const at::Tensor& logits, const at::Tensor& wanted);

/// Mean of those that are not NaN; NaN if all are.
double mean_of_defined(const std::vector<double>& values);

/// Appends "<metric>/<label>" for each label.
void append_per_label(Scores& scores, const std::string& metric, const std::vector<std::string>& labels,
                      const std::vector<double>& values);

/// The grades that class names say, or nothing if one is no integer: sorted as text, "10" comes before "2".
std::optional<std::vector<double>> grades_of(const std::vector<std::string>& classes);

/// Column `index` of a [rows, width] tensor.
std::vector<double> column_of(const at::Tensor& matrix, std::int64_t index);

}  // namespace meshfold::jobs
