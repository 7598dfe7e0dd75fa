#pragma once

#include <cstdint>

#include "models/networks/encoder_layer.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/ops/block_costs.hpp"

/// What the blocks of BERT's and DeBERTa's encoders cost, beside the code that computes them: encoder_layer.cpp,
/// bert.cpp and deberta.cpp. docs/parallelism.md adds the formulas up.
namespace meshfold::models {

/// Looking up, adding and normalising the embeddings in tables as wide as `words`; projected where that is not
/// `hidden_size`. Relative embeddings are normalised beside them.
ops::BlockCosts encoder_embedding_costs(const ParameterView& words, std::int64_t hidden_size, const PackOnRank& pack);

/// One layer: attention, and encoder_layer() behind it. `positions` are the projections of relative embeddings, without
/// views where there are none.
ops::BlockCosts encoder_layer_costs(const Linear& query_key_value, const Linear& positions,
                                    const EncoderLayerParameters& behind_attention, const EncoderLayerConfig& config,
                                    QueryRows rows, const PackOnRank& pack);

/// Layers by their matrix products. Embeddings have none: their table rows are added, normalised and dropped out. The
/// head's pooler is one product per input, here of 128 tokens, whatever the head: so a model has the same stages under
/// all heads. What grows with the length of an input, attention's scores, is the same in every layer and so without
/// influence.
TokenWork encoder_work(const EncoderLayerConfig& config);

/// Relative cost of an input of `length` tokens: linear work plus attention. For a block of width h the ratio of
/// attention to linear work is length / (6 h). Packs are cut by it, so it is part of the numerics contract.
constexpr std::uint64_t encoder_input_cost(std::uint64_t length, std::uint64_t hidden_size) {
  return length * (6 * hidden_size + length);
}

}  // namespace meshfold::models
