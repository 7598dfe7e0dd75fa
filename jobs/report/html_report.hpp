#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "jobs/train/metrics.hpp"

namespace meshfold::jobs {

/// One row of the fold table.
struct FoldSummary {
  int fold = 0;
  std::size_t samples = 0;         ///< out-of-fold samples
  std::size_t training_samples = 0;
  Scores scores;                   ///< of the selected checkpoint
  Scores last_scores;              ///< of the last epoch, shown beside it when select = best
  std::int64_t selected_step = 0;
  std::int64_t steps = 0;
  double seconds = 0;
  double samples_per_s = 0;        ///< training
  std::string job;                 ///< "fold-0": directory with metrics.jsonl
};

struct RunSummary {
  std::string title;
  std::vector<FoldSummary> folds;
  Scores pooled;                   ///< on all out-of-fold predictions
  Scores trivial;                  ///< training-fold mean (regression) or class shares (classification), evaluated out of fold
  std::vector<std::pair<std::string, std::string>> facts;  ///< the start-up table
  std::vector<std::pair<std::string, std::string>> files;  ///< what was written: label, path
  std::string config_ini;
};

/// Writes a self-contained page (inline SVG and CSS, light and dark, desktop and phone, no script from elsewhere): loss and learning-rate curves a fold, score by epoch, fold table
/// with pooled and trivial score, facts, config. Curves are read from each job's metrics.jsonl under `run_directory`.
void write_html_report(const std::filesystem::path& file, const std::filesystem::path& run_directory, const RunSummary& summary);

}  // namespace meshfold::jobs
