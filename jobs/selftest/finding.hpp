#pragma once

#include <string>
#include <utility>
#include <vector>

#include "jobs/error.hpp"

namespace meshfold::jobs::selftest {

/// kWarning: runs will work, but slowly or with a risk. kFault: runs will fail or go wrong.
enum class Verdict { kOk, kWarning, kFault };

/// "ok", "warning", "fault".
const char* name_of(Verdict verdict);

/// What one check found, in plain words; equal on all ranks.
struct Finding {
  Verdict verdict = Verdict::kOk;
  std::string found;
  std::string advice;                                   ///< what to do about it; empty if all is well
  ExitCode code = ExitCode::kDone;                      ///< of a fault: what a run would end with
  std::vector<std::pair<std::string, double>> figures;  ///< what was measured, by name with unit
};

Finding ok(std::string found);
Finding warning(std::string found, std::string advice);
Finding fault(ExitCode code, std::string found, std::string advice);

/// The worse of two, with the words of both if they are equally bad.
Finding combined(Finding left, const Finding& right);

}  // namespace meshfold::jobs::selftest
