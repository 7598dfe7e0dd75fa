#pragma once

#include <ATen/core/Tensor.h>

#include "models/context/dropout.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/relative_slots.hpp"

/// DeBERTa's attention (He et al., 2020) as transformers 5 computes it: the score of a query and a key of one input is
///   (query . key + query . position_key[slot] + key . position_query[slot]) / sqrt(head width * num_terms),
/// slot of the distance query - key; the second and third term are optional.
namespace meshfold::models::ops {

struct DisentangledConfig {
  std::int64_t num_heads = 1;
  RelativeBuckets buckets = {};
  bool content_to_position = false;  ///< the second term
  bool position_to_content = false;  ///< the third term
  std::int64_t num_terms = 1;  ///< that the model was trained to divide by; transformers counts the configured ones

  bool has_positions() const { return content_to_position || position_to_content; }
};

/// Attention within each input. qkv [T, 3 H] (query, key, value side by side). `positions`: the relative embeddings of
/// the slots that the pack touches (RelativeSlots of its longest input), projected: [slots, H] for one term, [slots, 2
/// H] with position_query left of position_key for both; type of qkv, undefined without positions. Dropout on the
/// probabilities. Result [T, H]. Saves its inputs and the log-sum-exp; scratch grows with the longest input, not with
/// its square. One task for each head and each of four fixed shares of the inputs, each single-threaded, so bits do not
/// depend on the number of threads. Throws invalid_argument for shapes that do not fit.
at::Tensor disentangled_attention(const at::Tensor& qkv, const at::Tensor& positions, const DisentangledConfig& config,
                                  const DropoutSite& dropout, const PackedInput& input, const ForwardContext& context);

}  // namespace meshfold::models::ops
