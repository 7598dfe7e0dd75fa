#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {

struct Row {
  std::string check;
  Finding finding;
};

/// Lines of one row of the table: check, verdict, what was found, and below what to do about it.
std::vector<std::string> lines_of(const Row& row);

/// "no fault, 1 warning (threads)" or "2 faults (directory, clock)".
std::string summary_of(const std::vector<Row>& rows);

/// The code of the first fault, or kDone.
ExitCode exit_code_of(const std::vector<Row>& rows);

/// One JSON object: ranks, mesh, directory, checks (name, verdict, found, advice, figures), exit_code.
std::string to_json(const Context& context, const std::vector<Row>& rows);

}  // namespace meshfold::jobs::selftest
