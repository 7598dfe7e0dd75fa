#include "launcher/report_command.hpp"

#include <chrono>
#include <cstdio>
#include <filesystem>
#include <set>

#include "jobs/config/ini_file.hpp"
#include "jobs/report/comparison.hpp"
#include "jobs/report/html_report.hpp"
#include "jobs/report/run_status.hpp"

namespace meshfold::launcher {
namespace {

namespace fs = std::filesystem;

jobs::ComparedRun read_compared(const std::string& directory) {
  jobs::ComparedRun run{directory, jobs::read_run(directory), {}};
  std::vector<std::string> faults;
  const auto file = (fs::path(directory) / "config.ini").string();
  for (const jobs::Setting& setting : jobs::parse_ini(run.record.config_ini, file, faults)) {
    run.options.emplace_back(setting.key, setting.value);
  }
  if (!faults.empty()) throw jobs::ConfigError(faults);
  return run;
}

void compare(const CommandLine& line, jobs::Console& console) {
  std::vector<jobs::ComparedRun> runs;
  for (const auto& directory : line.words) runs.push_back(read_compared(directory));
  const fs::path file = line.output.empty() ? "compare.html" : line.output;
  jobs::print_comparison(runs, console);
  jobs::write_comparison(file, runs);
  console.say("written: " + file.string());
}

}  // namespace

jobs::ExitCode run_status_command(const CommandLine& line, jobs::Console& console) {
  if (line.words.size() != 1) throw jobs::ConfigError("usage: meshfold status DIR [--format text|json]");
  const jobs::RunStatus status = jobs::status_of(line.words.front(), std::chrono::system_clock::now());
  if (line.format == "json") {
    std::fputs((jobs::status_as_json(status) + "\n").c_str(), stdout);
  } else {
    jobs::print_status(status, console);
  }
  return jobs::ExitCode::kDone;
}

jobs::ExitCode run_report_command(const CommandLine& line, jobs::Console& console) {
  const std::set<std::string> distinct(line.words.begin(), line.words.end());
  if (line.compare ? distinct.size() < 2 || distinct.size() < line.words.size() : line.words.size() != 1) {
    throw jobs::ConfigError(
        "usage: meshfold report DIR [--output FILE], or meshfold report --compare DIR OTHER... "
        "[--output FILE], every directory once");
  }
  if (line.compare) {
    compare(line, console);
    return jobs::ExitCode::kDone;
  }
  const fs::path run = line.words.front();
  const auto file = line.output.empty() ? run / "report.html" : fs::path(line.output);
  jobs::write_html_report(file, jobs::read_run(run));
  console.say("written: " + file.string());
  return jobs::ExitCode::kDone;
}

}  // namespace meshfold::launcher
