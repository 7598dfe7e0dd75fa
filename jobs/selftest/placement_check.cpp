#include "dist/cpu.hpp"
#include "jobs/selftest/checks.hpp"

namespace meshfold::jobs::selftest {

Finding check_placement(const Context& context) {
  const std::string map = dist::describe_placement(context.placement.ranks, context.placement.threads);
  Finding finding = ok(map);
  for (const std::string& sentence : dist::oversubscribed(context.placement.ranks)) {
    const std::size_t advice = sentence.rfind("; ");
    finding = combined(std::move(finding), warning(sentence.substr(0, advice), sentence.substr(advice + 2)));
  }
  if (finding.verdict != Verdict::kOk) finding.found = map + "; " + finding.found;
  return finding;
}

}  // namespace meshfold::jobs::selftest
