#include "jobs/train/rank_usage.hpp"

#include <algorithm>
#include <cstring>
#include <string>
#include <type_traits>

#include "jobs/process_memory.hpp"
#include "models/gradients/tensor_memory.hpp"

namespace meshfold::jobs {

void UsageMeter::begin_step() {
  sent_before_ = sent();
  models::restart_tensor_peak();
}

void UsageMeter::end_step() {
  const auto sent_now = sent();
  ++usage_.steps;
  usage_.data_bytes += sent_now[0] - sent_before_[0];
  usage_.pipeline_bytes += sent_now[1] - sent_before_[1];
  usage_.tensor_bytes += sent_now[2] - sent_before_[2];
  usage_.step_peak_bytes = std::max(usage_.step_peak_bytes, models::peak_tensor_bytes());
}

std::vector<RankUsage> UsageMeter::gather() const {
  static_assert(std::is_trivially_copyable_v<RankUsage>);
  RankUsage own = usage_;
  own.resident_bytes = peak_resident_bytes();
  const std::string bytes(reinterpret_cast<const char*>(&own), sizeof own);
  std::vector<RankUsage> all;
  for (const std::string& other : mesh_.all().all_gather_bytes(bytes)) {
    std::memcpy(&all.emplace_back(), other.data(), sizeof own);
  }
  return all;
}

}  // namespace meshfold::jobs
