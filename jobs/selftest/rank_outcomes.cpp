#include "jobs/selftest/rank_outcomes.hpp"

#include <stdexcept>

#include "base/duration.hpp"
#include "dist/call_within.hpp"

namespace meshfold::jobs::selftest {
namespace {

using nlohmann::json;

std::string to_text(const RankOutcome& outcome) {
  const json text = {{"value", outcome.value}, {"failure", outcome.failure}, {"code", static_cast<int>(outcome.code)}};
  return text.dump(-1, ' ', false, json::error_handler_t::replace);  // a path in a message need not be UTF-8
}

RankOutcome from_text(const std::string& text) {
  const json outcome = json::parse(text);
  return {outcome["value"], outcome["failure"], static_cast<ExitCode>(outcome["code"].get<int>())};
}

}  // namespace

std::vector<RankOutcome> gather_outcomes(dist::ProcessGroup& world, const std::function<json()>& part) {
  RankOutcome own;
  try {
    own.value = part();
  } catch (const std::exception& error) {
    own.failure = error.what();
    own.code = exit_code_of(error);
  }
  std::vector<RankOutcome> outcomes;
  for (const std::string& text : world.all_gather_bytes(to_text(own))) outcomes.push_back(from_text(text));
  return outcomes;
}

std::vector<RankOutcome> gather_bounded(dist::ProcessGroup& world, std::chrono::milliseconds patience,
                                        std::function<json()> part) {
  return gather_outcomes(world, [&] {
    const auto value = dist::call_within<json>(patience, std::move(part));
    if (value) return *value;
    throw StorageError("hangs: no answer from the file system within " + base::seconds_text(patience));
  });
}

std::optional<Finding> fault_of(const Context& context, const std::vector<RankOutcome>& outcomes,
                                const std::string& attempt, const std::string& advice) {
  std::vector<int> failed;
  for (int rank = 0; rank < static_cast<int>(outcomes.size()); ++rank) {
    if (!outcomes[static_cast<std::size_t>(rank)].failure.empty()) failed.push_back(rank);
  }
  if (failed.empty()) return std::nullopt;
  const RankOutcome& first = outcomes[static_cast<std::size_t>(failed.front())];
  std::string found = name_of_rank(context, failed.front()) + " could not " + attempt + ": " + first.failure;
  if (failed.size() > 1) {
    const bool is_all = failed.size() == outcomes.size();
    found += is_all ? " (so it is on all ranks)" : " (so it is on " + names_of_ranks(failed) + ")";
  }
  return fault(first.code, found, advice);
}

}  // namespace meshfold::jobs::selftest
