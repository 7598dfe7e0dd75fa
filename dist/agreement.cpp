#include "dist/agreement.hpp"

#include <charconv>
#include <string_view>

#include "dist/error.hpp"

namespace meshfold::dist {
namespace {

ExitCodeOf exit_code_table = nullptr;

int exit_code_of(const std::exception& error) {
  if (const auto* peer = dynamic_cast<const PeerFailed*>(&error)) return peer->exit_code();
  return exit_code_table == nullptr ? 1 : exit_code_table(error);
}

/// What the ranks tell each other: nothing after a success, else "<exit code> <message>".
std::string make_report(int exit_code, const std::string& message) { return std::to_string(exit_code) + " " + message; }

[[noreturn]] void throw_peer_failed(int rank, const std::string& attempt, std::string_view report) {
  int exit_code = 1;
  const char* end = report.data() + report.size();
  const auto parsed = std::from_chars(report.data(), end, exit_code);
  const std::string message(parsed.ptr == end ? parsed.ptr : parsed.ptr + 1, end);
  throw PeerFailed(rank, exit_code, "rank " + std::to_string(rank) + " could not " + attempt + ": " + message);
}

}  // namespace

void set_exit_code_table(ExitCodeOf table) { exit_code_table = table; }

void agree(ProcessGroup& group, const std::string& attempt, const std::function<void()>& risk) {
  std::exception_ptr failure;
  std::string report;
  try {
    risk();
  } catch (const std::exception& error) {
    failure = std::current_exception();
    report = make_report(exit_code_of(error), error.what());
  } catch (...) {
    failure = std::current_exception();
    report = make_report(1, "unknown exception");
  }

  std::vector<std::string> reports;
  try {
    reports = group.all_gather_bytes(report);
  } catch (...) {
    if (failure) std::rethrow_exception(failure);  // this rank's own reason says more than a peer's silence
    throw;
  }
  if (failure) std::rethrow_exception(failure);
  for (std::size_t r = 0; r < reports.size(); ++r) {
    if (!reports[r].empty()) throw_peer_failed(static_cast<int>(r), attempt, reports[r]);
  }
}

}  // namespace meshfold::dist
