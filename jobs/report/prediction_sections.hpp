#pragma once

#include <string>

#include "jobs/report/run_record.hpp"

namespace meshfold::jobs {

/// The sections of a report that show `run.held_out`: predictions against truth with their calibration (regression), or
/// confusions and reliability, then the rows that are furthest off. HTML; empty without held-out predictions.
std::string prediction_sections(const RunRecord& run);

}  // namespace meshfold::jobs
