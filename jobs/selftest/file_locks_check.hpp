#pragma once

#include <span>
#include <string>

#include "jobs/selftest/context.hpp"
#include "jobs/selftest/finding.hpp"

namespace meshfold::jobs::selftest {

/// What became of one try to lock a file.
enum class LockResult { kNotTried, kTaken, kRefused, kUnsupported };

/// What one rank does: rank 0 tries first and holds the lock; the others try meanwhile; the last rank tries once it is free.
struct LockTrial {
  LockResult while_held = LockResult::kNotTried;
  LockResult after_release = LockResult::kNotTried;
};

/// `what`: "fcntl" or "flock". trials[0].while_held is the holder's own try.
Finding judge_locks(const Context& context, const std::string& what, std::span<const LockTrial> trials);

}  // namespace meshfold::jobs::selftest
