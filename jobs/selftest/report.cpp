#include "jobs/selftest/report.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "jobs/console.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

constexpr std::size_t kTextWidth = 90;

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size() + 1), ' ');
  return text;
}

std::vector<std::string> names_with(const std::vector<Row>& rows, Verdict verdict) {
  std::vector<std::string> names;
  for (const Row& row : rows) {
    if (row.finding.verdict == verdict) names.push_back(row.check);
  }
  return names;
}

std::string counted(const std::vector<std::string>& names, const std::string& noun) {
  return std::to_string(names.size()) + " " + noun + (names.size() == 1 ? " (" : "s (") + base::joined(names) + ")";
}

}  // namespace

std::vector<std::string> lines_of(const Row& row) {
  const std::string head = "  " + padded(row.check, 16) + padded(name_of(row.finding.verdict), 9);
  std::vector<std::string> lines;
  for (const auto line : wrapped(row.finding.found, kTextWidth)) {
    lines.push_back((lines.empty() ? head : std::string(head.size(), ' ')) + std::string(line));
  }
  bool is_first = true;
  if (row.finding.advice.empty()) return lines;
  for (const auto line : wrapped(row.finding.advice, kTextWidth - 3)) {
    lines.push_back(std::string(head.size(), ' ') + (is_first ? "-> " : "   ") + std::string(line));
    is_first = false;
  }
  return lines;
}

std::string summary_of(const std::vector<Row>& rows) {
  const auto faults = names_with(rows, Verdict::kFault), warnings = names_with(rows, Verdict::kWarning);
  return (faults.empty() ? "no fault" : counted(faults, "fault")) + ", " +
         (warnings.empty() ? "no warning" : counted(warnings, "warning"));
}

ExitCode exit_code_of(const std::vector<Row>& rows) {
  const auto found = std::ranges::find(rows, Verdict::kFault, [](const Row& row) { return row.finding.verdict; });
  return found == rows.end() ? ExitCode::kDone : found->finding.code;
}

std::string to_json(const Context& context, const std::vector<Row>& rows) {
  json checks = json::array();
  for (const auto& [check, finding] : rows) {
    json figures = json::object();
    for (const auto& [name, value] : finding.figures) figures[name] = value;
    checks.push_back({{"name", check},
                      {"verdict", name_of(finding.verdict)},
                      {"found", finding.found},
                      {"advice", finding.advice},
                      {"figures", figures}});
  }
  const auto& shape = context.mesh.shape();
  const json page = {{"ranks", context.size()},
                     {"mesh", {{"data", shape.data}, {"pipeline", shape.pipeline}, {"tensor", shape.tensor}}},
                     {"directory", context.directory.string()},
                     {"checks", checks},
                     {"exit_code", static_cast<int>(exit_code_of(rows))}};
  return page.dump(2, ' ', false, json::error_handler_t::replace);
}

}  // namespace meshfold::jobs::selftest
