#include "models/reference/attention_reference.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <limits>

namespace meshfold::models::ops::reference {
namespace {

/// [L, L]: the slot of a query (row) and a key (column).
at::Tensor slots_of_pairs(const RelativeSlots& slots, std::int64_t length) {
  const at::Tensor result = at::empty({length, length}, at::kLong);
  auto* values = result.mutable_data_ptr<std::int64_t>();
  for (std::int64_t q = 0; q < length; ++q) {
    for (std::int64_t k = 0; k < length; ++k) values[q * length + k] = slots.slot(q - k);
  }
  return result;
}

/// [rows, heads D] as [heads, rows, D].
at::Tensor by_head(const at::Tensor& rows, std::int64_t head_width) {
  return rows.reshape({rows.size(0), -1, head_width}).transpose(0, 1);
}

/// [L, L]: whether a query (row) sees a key (column).
at::Tensor visible_keys(const AttentionConfig& config, std::int64_t length) {
  const at::Tensor all = at::ones({length, length});
  switch (config.mask) {
    case AttentionMask::kNone:
      return all.to(at::kBool);
    case AttentionMask::kCausal:
      return all.tril().to(at::kBool);
    case AttentionMask::kWindow:
      return all.tril().triu(1 - config.window).to(at::kBool);
  }
  return {};
}

}  // namespace

at::Tensor attention(const at::Tensor& query_key_value, const at::Tensor& positions, const AttentionConfig& config,
                     const std::vector<at::Tensor>& masks, const PackedInput& input) {
  const std::int64_t width = config.num_heads * config.head_width, kv_width = config.kv_heads() * config.head_width,
                     sharing = config.num_heads / config.kv_heads();
  const double scale = config.scale.value_or(1.0 / std::sqrt(static_cast<double>(config.head_width)));
  at::Tensor position_query_HAD, position_key_HAD;
  if (config.position_to_content) position_query_HAD = by_head(positions.narrow(1, 0, width), config.head_width);
  if (config.content_to_position) {
    position_key_HAD = by_head(positions.narrow(1, config.position_to_content ? width : 0, width), config.head_width);
  }
  std::vector<at::Tensor> outputs;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t first = input.cu_seqlens[s], length = input.cu_seqlens[s + 1] - first;
    const at::Tensor rows = query_key_value.narrow(0, first, length);
    const auto shared = [&](std::int64_t column) {
      return by_head(rows.narrow(1, column, kv_width), config.head_width).repeat_interleave(sharing, 0);
    };
    const at::Tensor query_HLD = by_head(rows.narrow(1, 0, width), config.head_width), key_HLD = shared(width),
                     value_HLD = shared(width + kv_width);
    at::Tensor scores_HQK = at::matmul(query_HLD, key_HLD.transpose(1, 2));
    if (config.has_positions()) {
      const RelativeSlots slots(config.buckets, longest_input(input));
      const at::Tensor slot_HQK = slots_of_pairs(slots, length).to(rows.device()).expand(scores_HQK.sizes());
      if (config.content_to_position) {
        scores_HQK = scores_HQK + at::matmul(query_HLD, position_key_HAD.transpose(1, 2)).gather(2, slot_HQK);
      }
      if (config.position_to_content) {
        const at::Tensor by_key_HKA = at::matmul(key_HLD, position_query_HAD.transpose(1, 2));
        scores_HQK = scores_HQK + by_key_HKA.gather(2, slot_HQK.transpose(1, 2)).transpose(1, 2);
      }
    }
    scores_HQK = scores_HQK * scale;
    if (config.soft_cap > 0.0) scores_HQK = config.soft_cap * at::tanh(scores_HQK / config.soft_cap);
    const at::Tensor hidden = visible_keys(config, length).logical_not().to(rows.device());
    scores_HQK = scores_HQK.masked_fill(hidden, -std::numeric_limits<double>::infinity());
    at::Tensor weights_HQK = at::softmax(scores_HQK, -1);
    if (!masks.empty()) weights_HQK = weights_HQK * masks[s].to(weights_HQK.options());
    outputs.push_back(at::matmul(weights_HQK, value_HLD).transpose(0, 1).reshape({length, width}));
  }
  return outputs.empty() ? query_key_value.narrow(1, 0, width) : at::cat(outputs);
}

}  // namespace meshfold::models::ops::reference
