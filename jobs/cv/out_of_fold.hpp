#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/folds.hpp"
#include "jobs/results/job_result.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// The promise of cross-validation is broken: a sample has no out-of-fold prediction, several, or one of a model that
/// was trained on it.
class OutOfFoldError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The out-of-fold predictions of all samples, [N, C] in input order. Verifies count, uniqueness and disjointness:
/// every sample is predicted exactly once, by the fold that held it out, with finite numbers. OutOfFoldError names the
/// first sample at fault, by its id.
at::Tensor collect_out_of_fold(std::span<const JobResult> results, const data::FoldAssignment& folds,
                               std::span<const std::string> ids);

/// What predicting without reading any text gives, out of fold: for the samples of each fold the mean of the other
/// folds' targets (regression), the logarithm of their class shares (classification), or the logit of each label's
/// share (multi-label). `targets` [N, C] or [N, 1]; returns [N, C] fp32.
at::Tensor predict_trivially(const models::HeadConfig& head, const at::Tensor& targets,
                             const data::FoldAssignment& folds, int num_folds);

/// The mean over the folds' test predictions, [M, C]: of values (regression) or of probabilities.
at::Tensor mean_test_predictions(const models::HeadConfig& head, std::span<const JobResult> results);

}  // namespace meshfold::jobs
