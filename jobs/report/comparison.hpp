#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "jobs/console.hpp"
#include "jobs/report/run_record.hpp"

namespace meshfold::jobs {

/// A run beside others.
struct ComparedRun {
  std::string name;  ///< as the user wrote its directory
  RunRecord record;
  std::vector<std::pair<std::string, std::string>> options;  ///< key and value of its config.ini
};

/// The options in which the runs differ, one row a key: key, then each run's value ("not set" where it has none). In
/// the order of the first run's options.
std::vector<std::vector<std::string>> differing_options(const std::vector<ComparedRun>& runs);

/// One row a metric: its name, then each run's pooled score, from the second run on with the difference to the first.
/// A run that has not finished has empty cells.
std::vector<std::vector<std::string>> score_rows(const std::vector<ComparedRun>& runs);

/// One row a fold: its name, then the main metric of each run.
std::vector<std::vector<std::string>> fold_rows(const std::vector<ComparedRun>& runs);

/// The mean over the folds of a curve by epoch, at 100 epochs between the start and the end that all folds have;
/// between its points a fold's curve is straight. Folds without points do not count.
std::vector<std::pair<double, double>> mean_curve(const std::vector<std::vector<std::pair<double, double>>>& curves);

/// The three tables on the terminal.
void print_comparison(const std::vector<ComparedRun>& runs, Console& console);

/// The tables and the overlaid curves as one page; see write_html_report.
void write_comparison(const std::filesystem::path& file, const std::vector<ComparedRun>& runs);

}  // namespace meshfold::jobs
