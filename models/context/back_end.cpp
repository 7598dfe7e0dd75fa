#include "models/context/back_end.hpp"

#include <atomic>

namespace meshfold::models::ops {
namespace {

std::atomic<int> num_overrides = 0;

}  // namespace

BackEnd back_end_of(const at::Tensor& tensor) {
  return tensor.is_cpu() && num_overrides == 0 ? BackEnd::kHost : BackEnd::kAten;
}

AtenEverywhere::AtenEverywhere() { ++num_overrides; }
AtenEverywhere::~AtenEverywhere() { --num_overrides; }

}  // namespace meshfold::models::ops
