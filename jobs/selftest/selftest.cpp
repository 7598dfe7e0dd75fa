#include "jobs/selftest/selftest.hpp"

#include <algorithm>
#include <exception>

#include "dist/mpi_process_group.hpp"
#include "jobs/config/job_setup.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using selftest::Check, selftest::Context, selftest::Row;

constexpr std::chrono::milliseconds kLongestWait = 90s;
constexpr std::chrono::milliseconds kPatience = 15s;  // for storage

fs::path directory_of(const SelftestRequest& request, const RunConfig& config) {
  if (!request.directory.empty()) return request.directory;
  if (config.run.directory.empty()) return fs::current_path();
  fs::path directory = fs::absolute(config.run.directory);
  std::error_code ignored;
  while (!fs::exists(directory, ignored) && directory.has_relative_path()) directory = directory.parent_path();
  return directory;
}

std::string ranks_in_words(int ranks) { return std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks"); }

void say(Console& console, const Row& row) {
  for (const std::string& line : selftest::lines_of(row)) console.say(line);
}

}  // namespace

namespace selftest {

const std::vector<Check>& all_checks() {
  static const std::vector<Check> checks = {
      {"ranks", check_ranks, false},           {"placement", check_placement, false},
      {"threads", check_threads, false},       {"memory", check_memory, false},
      {"open files", check_open_files, false}, {"sums", check_sums, false},
      {"bandwidth", check_bandwidth, false},   {"shared memory", check_shared_memory, false},
      {"directory", check_directory, false},   {"durable files", check_durable_files, true},
      {"file locks", check_file_locks, true},  {"parallel HDF5", check_hdf5, true},
      {"clock", check_clock, false},
  };
  return checks;
}

void run_checks(const Context& context, const std::vector<Check>& checks, dist::Watchdog& watchdog,
                const std::function<void(const Row&)>& report) {
  bool may_write = true;
  for (const auto& [name, run, writes] : checks) {
    if (writes && !may_write) {
      report({name, warning("not tried, since the directory cannot be used", "see above")});
      continue;
    }
    try {
      const dist::Watchdog::Phase phase(watchdog, std::string("selftest: ") + name, context.longest_check);
      const Finding finding = run(context);
      report({name, finding});
      if (run == check_directory) may_write = finding.verdict != Verdict::kFault;
    } catch (const std::exception& error) {
      report({name, fault(jobs::exit_code_of(error), error.what(),
                          "this check did not come to its end, and those after it were not tried")});
      throw;
    }
  }
}

}  // namespace selftest

ExitCode run_selftest(const RunConfig& config, const SelftestRequest& request, RunEnvironment& environment) {
  auto& mpi = environment.mpi;
  mpi.set_deadline(std::min(mpi.deadline(), kLongestWait));
  const auto world = dist::make_mpi_process_group(mpi.world(), "world");
  const dist::Mesh mesh = make_mesh(config, environment.groups, mpi.world(), "selftest");
  const Context context{mpi.world(),
                        *world,
                        mesh,
                        find_placement(config.run.threads, *world, mpi.host_name()),
                        directory_of(request, config),
                        kPatience};
  auto& console = environment.console;
  const bool is_text = request.format == SelftestFormat::kText;
  if (is_text) console.say("selftest of " + ranks_in_words(world->size()) + ", " + mesh.shape().to_string());
  std::vector<Row> rows;
  const auto report = [&](const Row& row) {
    rows.push_back(row);
    if (is_text) say(console, row);
  };
  const auto conclude = [&] { console.say(is_text ? selftest::summary_of(rows) : selftest::to_json(context, rows)); };
  try {
    selftest::run_checks(context, selftest::all_checks(), environment.watchdog, report);
  } catch (...) {  // the ranks are out of step: what is known is told, then the run ends as any failed one
    conclude();
    throw;
  }
  conclude();
  return selftest::exit_code_of(rows);
}

}  // namespace meshfold::jobs
