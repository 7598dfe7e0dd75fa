#pragma once

#include <exception>
#include <functional>
#include <string>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// Turns the exception in flight into an exit code; the launcher's table, handed down so that dist need not know the
/// error types of other libraries.
using ExitCodeOf = int (*)(const std::exception&);

/// Sets the table used by agree(); called once by main before any job. Without it every failure has code 1. A
/// PeerFailed keeps the code that it carries and is not looked up.
void set_exit_code_table(ExitCodeOf table);

/// Runs a rank-local risk (reading a file, allocating) and then makes the ranks agree that all succeeded, before any of
/// them enters the next collective. Collective over `group`. A rank whose `risk` threw rethrows its own exception;
/// the others throw PeerFailed with the lowest failing rank's message and exit code. With a group of one it is
/// `risk()`.
///
///     agree(mesh.all(), "open the dataset", [&] { dataset = data::Dataset::open(path); });
void agree(ProcessGroup& group, const std::string& attempt, const std::function<void()>& risk);

}  // namespace meshfold::dist
