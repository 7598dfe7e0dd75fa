#pragma once

#include <exception>
#include <span>
#include <string>
#include <utility>

#include "dist/process_group.hpp"

namespace meshfold::jobs {

/// What has failed on this rank within a step, and the one place where the ranks of a step agree on it. A rank that has
/// failed computes no further, but takes its part in every collective until sum() ends the step on all ranks.
class StepAgreement {
 public:
  /// `all`, the ranks that take the step, outlives this object. `step` names it in messages ("step 3 of fold-0").
  /// `failure`: what had failed on this rank before.
  StepAgreement(dist::ProcessGroup& all, std::string step, std::exception_ptr failure)
      : all_(all), step_(std::move(step)), failure_(std::move(failure)) {}

  /// Runs a rank-local risk, or what hands on a failure that was there before, and keeps what it throws.
  template <typename Risk>
  void attempt(Risk risk) {
    try {
      risk();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }
  const std::exception_ptr& failure() const { return failure_; }

  /// Adds `values` over all ranks, in place, with one reduction, which tells of failures too: if any rank has failed,
  /// every rank throws, its own failure or dist::PeerFailed. Collective, with equally many values.
  void sum(std::span<double> values);

 private:
  dist::ProcessGroup& all_;
  std::string step_;
  std::exception_ptr failure_;
};

}  // namespace meshfold::jobs
