#include "models/ops/problems/attention.hpp"

#include <ATen/Functions.h>

namespace meshfold::models::ops {

at::Tensor AttentionGradients::query_key_value() const { return at::cat({query, key_value}, 1); }

at::Tensor AttentionGradients::positions() const {
  if (!position_query.defined()) return position_key;
  return position_key.defined() ? at::cat({position_query, position_key}, 1) : position_query;
}

}  // namespace meshfold::models::ops
