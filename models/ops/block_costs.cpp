#include "models/ops/block_costs.hpp"

#include <algorithm>

namespace meshfold::models::ops {

BlockCosts in_turn(const BlockCosts& first, const BlockCosts& second) {
  return {.kept = first.kept + second.kept,
          .working_forward = std::max(first.working_forward - second.kept, second.working_forward),
          .working_backward = std::max(first.working_backward - second.kept, second.working_backward),
          .sent_forward = first.sent_forward + second.sent_forward,
          .sent_backward = first.sent_backward + second.sent_backward};
}

BlockCosts without_gradient(BlockCosts costs) {
  costs.kept = costs.sent_backward = 0;
  return costs;
}

}  // namespace meshfold::models::ops
