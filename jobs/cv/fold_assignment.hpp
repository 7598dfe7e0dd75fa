#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "data/folds.hpp"
#include "data/stratified_folds.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/run/job.hpp"

namespace meshfold::jobs {

/// Which fold holds each sample out.
struct Folds {
  data::FoldAssignment assignment;  ///< of each dataset row
  int num_folds = 0;
  data::FoldReport report;
  data::SampleLabels labels;        ///< what the folds should have equal shares of: classes, set labels, binned targets
  data::LabelDeviation deviation;   ///< how far they are from it, whatever the strategy
  std::vector<std::string> scarce;  ///< labels of fewer samples than folds

  std::vector<std::uint32_t> held_out_rows(int fold) const;
  std::vector<std::uint32_t> training_rows(int fold) const;
  /// Hex XXH3-128: finished folds of another assignment are refused.
  std::string hash() const;
};

/// Makes the folds by cv.strategy from the run's seed, or takes the fold column. Pure: every rank gets the same.
/// ConfigError when there are more folds than samples or groups, when the needed column is missing, or when the fold
/// column is not 0 .. cv.folds - 1 without gaps.
/// `class_names` name the classes of a classification.
Folds make_folds(const RunConfig& config, const data::Dataset& dataset, const std::vector<std::string>& class_names);

/// Writes `file` if it is not there; else reads it and refuses (ConfigError) folds that differ, with the first
/// differing sample. One rank.
void keep_folds_csv(const std::filesystem::path& file, const data::Dataset& dataset, const Folds& folds);

/// A job per fold.
std::vector<JobPlan> plan_folds(const Folds& folds);

/// "group k-fold by doc: 1000, 1000, 1000 samples; 873, 880, 871 groups; no group in two folds;
/// largest deviation of a label's share 0.0021 (sd in bin 3 of 10, fold 1)".
std::string describe(const Folds& folds, const RunConfig& config);

}  // namespace meshfold::jobs
