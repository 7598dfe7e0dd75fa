#pragma once

#include <memory>

#include "models/networks/pooler.hpp"

/// The poolers that transformers' sequence classifiers lack. Their parameters are named `pooling.*`.
namespace meshfold::models {

/// Pooling max, min or last: no parameters.
std::unique_ptr<Pooler> make_token_pooler(Pooling pooling, const Backbone& backbone);

/// Attention over an input's tokens: scores Linear(H, 1)(GELU(LayerNorm(Linear(H, H)(h)))), softmax over the tokens in
/// fp32, sum of weight x h. Parameters: pooling.dense, pooling.norm (epsilon 1e-5), pooling.score.
std::unique_ptr<Pooler> make_attention_pooler(const Backbone& backbone);

/// sum of w_l x h_l over the sum of w, for hidden states l = head.first_layer .. L, then the first token or the mean
/// over tokens (head.layer_pooling). Parameter: pooling.layer_weights, one each at the start. Throws invalid_argument
/// if there is no such hidden state.
std::unique_ptr<Pooler> make_layer_pooler(const HeadConfig& head, const Backbone& backbone);

/// The first token's vectors of the last head.num_layers hidden states side by side, the last one first. Throws
/// invalid_argument if there are fewer states.
std::unique_ptr<Pooler> make_concatenated_pooler(const HeadConfig& head, const Backbone& backbone);

}  // namespace meshfold::models
