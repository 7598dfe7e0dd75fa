#pragma once

#include <cstddef>

#include "jobs/config/run_config.hpp"
#include "jobs/console.hpp"
#include "jobs/report/run_notes.hpp"

namespace meshfold::jobs {

/// The end of a run: writes its notes and report.html, prints the table of its jobs and the paths of what was written
/// (`notes.files`). `num_samples` were predicted by models that had not seen them. The page is made of the run's files
/// alone, as `meshfold report` does later. One rank.
void close_run(const RunConfig& config, RunNotes notes, std::size_t num_samples, Console& console);

}  // namespace meshfold::jobs
