#include "models/reference/disentangled_reference.hpp"

#include <ATen/ATen.h>

#include <cmath>

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

/// [A, H] as [heads, A, D].
at::Tensor by_head(const at::Tensor& positions, std::int64_t num_heads) {
  return positions.reshape({positions.size(0), num_heads, -1}).transpose(0, 1);
}

}  // namespace

at::Tensor disentangled_attention(const at::Tensor& qkv, const at::Tensor& positions, const DisentangledConfig& config,
                                  const std::vector<at::Tensor>& masks, const PackedInput& input) {
  const std::int64_t width = qkv.size(1) / 3, heads = config.num_heads, head_width = width / heads;
  const RelativeSlots slots(config.buckets, longest_input(input));
  at::Tensor query_HAD, key_HAD;
  if (config.position_to_content) query_HAD = by_head(positions.narrow(1, 0, width), heads);
  if (config.content_to_position)
    key_HAD = by_head(positions.narrow(1, config.position_to_content ? width : 0, width), heads);
  std::vector<at::Tensor> outputs;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t first = input.cu_seqlens[s], length = input.cu_seqlens[s + 1] - first;
    const at::Tensor qkv_3HLD = qkv.narrow(0, first, length).view({length, 3, heads, head_width}).permute({1, 2, 0, 3});
    const at::Tensor slot_QK = slots_of_pairs(slots, length).to(qkv.device());
    const at::Tensor slot_HQK = slot_QK.expand({heads, length, length});
    at::Tensor scores_HQK = at::matmul(qkv_3HLD[0], qkv_3HLD[1].transpose(1, 2));
    if (config.content_to_position)
      scores_HQK = scores_HQK + at::matmul(qkv_3HLD[0], key_HAD.transpose(1, 2)).gather(2, slot_HQK);
    if (config.position_to_content) {
      const at::Tensor by_key_HKA = at::matmul(qkv_3HLD[1], query_HAD.transpose(1, 2));
      scores_HQK = scores_HQK + by_key_HKA.gather(2, slot_HQK.transpose(1, 2)).transpose(1, 2);
    }
    scores_HQK = scores_HQK / std::sqrt(static_cast<double>(head_width * config.num_terms));
    at::Tensor weights_HQK = at::softmax(scores_HQK, -1);
    if (!masks.empty()) weights_HQK = weights_HQK * masks[s].to(weights_HQK.options());
    outputs.push_back(at::matmul(weights_HQK, qkv_3HLD[2]).transpose(0, 1).reshape({length, width}));
  }
  return outputs.empty() ? qkv.narrow(1, 0, width) : at::cat(outputs);
}

}  // namespace meshfold::models::ops::reference
