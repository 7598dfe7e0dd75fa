// Shapes: T tokens and S texts of a pack, R of the tokens this tensor rank's, H hidden size, W columns of this rank's
// heads, I columns of its piece of the feed-forward block, A rows of relative embeddings, P columns of their
// projections, c bytes of the compute type.
#include "models/networks/encoder_costs.hpp"

#include <algorithm>

#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models {
namespace {

using ops::BlockCosts;
using ops::fp32_bytes;

constexpr std::int64_t kFloat = sizeof(float);

std::int64_t columns_of(const ParameterView& weight) { return weight.value.defined() ? weight.value.size(0) : 0; }

/// Attention with its projections, of all rows.
BlockCosts attention_costs(const Linear& query_key_value, std::int64_t P, const EncoderLayerConfig& config,
                           const PackOnRank& pack) {
  const bool cut = query_key_value.weight.sharded;
  const std::int64_t T = pack.tokens, R = pack.own_rows, A = pack.relative_rows, c = pack.compute_bytes;
  const std::int64_t H = config.hidden_size, W = query_key_value.weight.value.size(0) / 3;
  BlockCosts costs;
  costs.kept = ops::kept_by_linear(cut ? T : R, H, pack) +
               ops::kept_by_attention({T, W, T, 2 * W, W / config.head_width}, pack) +
               ops::kept_by_linear(cut ? T : R, W, pack) + ops::kept_by_linear(A, H + P, pack);
  costs.working_backward = fp32_bytes(R, H) + T * 4 * W * c + 6 * fp32_bytes(A, P);
  // Uncut, query, key and value of all rows come together, and backward what attention gave.
  costs.sent_forward = ops::sent_by_gathering(cut ? H : 3 * H, c, pack);
  costs.sent_backward = cut ? ops::sent_by_adding(H, pack) : ops::sent_by_gathering(H, c, pack);
  return costs;
}

/// Attention of the first tokens: keys and values of all rows, queries of S, and of the relative slots the half that
/// first tokens touch. Never on a tensor axis.
BlockCosts first_token_attention_costs(const Linear& query_key_value, std::int64_t P, const EncoderLayerConfig& config,
                                       const PackOnRank& pack) {
  const std::int64_t T = pack.tokens, S = pack.inputs, A = pack.relative_rows;
  const std::int64_t H = config.hidden_size, W = query_key_value.weight.value.size(0) / 3;
  BlockCosts costs;
  costs.kept = ops::kept_by_linear(T, H, pack) + ops::kept_by_linear(S, H, pack) +
               ops::kept_by_attention({S, W, T, 2 * W, W / config.head_width}, pack) + ops::kept_by_linear(S, W, pack) +
               ops::kept_by_linear(A, H + P, pack) / 2;
  if (pack.compute_bytes < kFloat) costs.working_forward = fp32_bytes(T, H);  // what came in, beside its copy
  costs.working_backward = T * 2 * W * pack.compute_bytes + fp32_bytes(A, P);
  return costs;
}

/// All that encoder_layer() does, of `own` rows that this rank normalises.
BlockCosts behind_attention_costs(const EncoderLayerParameters& p, const EncoderLayerConfig& config, std::int64_t own,
                                  const PackOnRank& pack) {
  const bool cut = p.output.weight.sharded, narrow = pack.compute_bytes < kFloat;
  const std::int64_t T = pack.tokens, c = pack.compute_bytes, rows = cut ? T : own;
  const std::int64_t H = config.hidden_size, I = p.output.weight.value.size(1);
  const std::int64_t norm = ops::kept_by_norm(own, H, c);
  BlockCosts costs;
  costs.kept = norm + ops::kept_by_linear(rows, H, pack) + ops::kept_by_linear(rows, I, pack) + norm;
  // At the end of the second product; the norm behind it has kept nothing yet.
  costs.working_forward = rows * I * c - norm + (cut ? fp32_bytes(T, H) : own * H * c);
  if (cut || narrow) costs.working_forward += fp32_bytes(own, H);  // the residual is no other block's input
  if (cut && narrow) costs.working_forward += fp32_bytes(T + H, I);
  costs.working_backward = fp32_bytes(own, H) + 2 * rows * I * c + (cut ? T * H * c : 0);
  if (p.attention_output.weight.sharded) {
    costs.sent_forward += ops::sent_by_adding(H, pack);
    costs.sent_backward += ops::sent_by_gathering(H, c, pack);
  }
  if (cut) {
    const std::int64_t both = ops::sent_by_gathering(H, c, pack) + ops::sent_by_adding(H, pack);
    costs.sent_forward += both;
    costs.sent_backward += both;
  }
  return costs;
}

}  // namespace

BlockCosts encoder_embedding_costs(const ParameterView& words, std::int64_t hidden_size, const PackOnRank& pack) {
  const std::int64_t width = words.value.size(1);
  BlockCosts costs;
  costs.kept = ops::kept_by_norm(pack.own_rows, hidden_size, kFloat) +
               ops::kept_by_norm(pack.relative_rows, hidden_size, kFloat);
  if (width != hidden_size) costs.kept += ops::kept_by_linear(pack.own_rows, width, pack);
  if (words.sharded) {
    costs.sent_forward = ops::sent_by_adding(width, pack);
    costs.sent_backward = ops::sent_by_gathering(width, kFloat, pack);
  }
  return costs;
}

BlockCosts encoder_layer_costs(const Linear& query_key_value, const Linear& positions,
                               const EncoderLayerParameters& behind_attention, const EncoderLayerConfig& config,
                               QueryRows rows, const PackOnRank& pack) {
  const std::int64_t P = columns_of(positions.weight);
  BlockCosts costs;
  if (rows == QueryRows::kFirst) {
    // What follows attention makes S rows, which are few beside the T of attention.
    costs = first_token_attention_costs(query_key_value, P, config, pack);
    costs.kept += behind_attention_costs(behind_attention, config, pack.inputs, pack).kept;
  } else {
    costs = in_turn(attention_costs(query_key_value, P, config, pack),
                    behind_attention_costs(behind_attention, config, pack.own_rows, pack));
  }
  costs.working_forward += fp32_bytes(pack.relative_rows, config.hidden_size);  // which later layers read
  return costs;
}

TokenWork encoder_work(const EncoderLayerConfig& config) {
  constexpr std::int64_t kOperationsPerElement = 16, kTokensPerInput = 128;
  const std::int64_t hidden = config.hidden_size;
  return {.embeddings = kOperationsPerElement * hidden,
          .layer = 4 * hidden * hidden + 2 * hidden * config.intermediate_size,
          .head = hidden * hidden / kTokensPerInput};
}

}  // namespace meshfold::models
