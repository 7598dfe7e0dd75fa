#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "jobs/report/run_record.hpp"

namespace meshfold::jobs {

/// Writes a self-contained page (inline SVG and CSS, light and dark, desktop and phone, no script): scores beside the
/// trivial predictor's, fold table, curves by fold, predictions against truth, calibration, the rows that are furthest
/// off with their text, lengths, throughput, facts and config. Of a run that has not finished, what there is. Its size
/// does not grow with the number of rows or steps. Throws StorageError.
void write_html_report(const std::filesystem::path& file, const RunRecord& run);

/// Exponential moving average over about `window` points, without the pull of a start value; points that are not finite
/// are left out.
std::vector<std::pair<double, double>> smoothed(const std::vector<std::pair<double, double>>& points, double window);

}  // namespace meshfold::jobs
