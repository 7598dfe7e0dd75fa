#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {
namespace {

std::string joined(const std::string& left, const std::string& right) {
  return left.empty() || right.empty() || left == right ? (left.empty() ? right : left) : left + "; " + right;
}

}  // namespace

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kOk:
      return "ok";
    case Verdict::kWarning:
      return "warning";
    case Verdict::kFault:
      return "fault";
  }
  return "";
}

Finding ok(std::string found) { return {Verdict::kOk, std::move(found), {}, ExitCode::kDone, {}}; }

Finding warning(std::string found, std::string advice) {
  return {Verdict::kWarning, std::move(found), std::move(advice), ExitCode::kDone, {}};
}

Finding fault(ExitCode code, std::string found, std::string advice) {
  return {Verdict::kFault, std::move(found), std::move(advice), code, {}};
}

Finding combined(Finding left, const Finding& right) {
  auto figures = std::move(left.figures);
  figures.insert(figures.end(), right.figures.begin(), right.figures.end());
  Finding worse = right.verdict > left.verdict ? right : left;
  if (left.verdict == right.verdict) {
    worse.found = joined(left.found, right.found);
    worse.advice = joined(left.advice, right.advice);
  }
  worse.figures = std::move(figures);
  return worse;
}

}  // namespace meshfold::jobs::selftest
