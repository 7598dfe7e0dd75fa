#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "models/context/dropout.hpp"
#include "models/context/packed_input.hpp"
#include "models/ops/problems/relative_slots.hpp"

/// Attention as every back end is given it. Within each input and for each head it is
///   dropout(softmax(mask(cap(scale x (query . key + query . position_key[slot] + key . position_query[slot])))))
///   value,
/// slot of the distance query - key. Everything but the first product and the softmax is optional. The terms with
/// positions are DeBERTa's (He et al., 2020) as transformers 5 computes them.
/// T tokens, Q queries (T, or one per input), H heads and K key/value heads of D columns, A slots.
namespace meshfold::models::ops {

/// Which keys of its input a query sees.
enum class AttentionMask {
  kNone,    ///< all
  kCausal,  ///< those up to its own position
  kWindow,  ///< of these the last `window`, its own being one
};

struct AttentionConfig {
  std::int64_t num_heads = 1;
  std::int64_t num_kv_heads = 0;  ///< 0: as many as heads; else each serves the same number of neighbouring heads
  std::int64_t head_width = 0;
  std::optional<double> scale = {};     ///< absent: 1 / sqrt(head_width)
  QueryRows queries = QueryRows::kAll;  ///< of which tokens
  AttentionMask mask = AttentionMask::kNone;
  std::int64_t window = 0;
  double soft_cap = 0.0;             ///< c: a score s becomes c tanh(s / c); 0: none
  RelativeBuckets buckets = {};      ///< of the terms with positions
  bool content_to_position = false;  ///< the second term
  bool position_to_content = false;  ///< the third term

  std::int64_t kv_heads() const { return num_kv_heads > 0 ? num_kv_heads : num_heads; }
  bool has_positions() const { return content_to_position || position_to_content; }
};

/// What a block is given, or the gradients of that. Query, key and value lie side by side in this order, in one, two or
/// three tensors, as the products before them left them: {query key value}, {query, key value}, {query, key, value}.
struct AttentionInputs {
  std::vector<at::Tensor> query_key_value;
  /// The relative embeddings of the slots that the pack touches, projected: [A, H D] for one term, for both [A, 2 H D]
  /// with position_query left of position_key. A is RelativeSlots' count for its longest input, first_row_slots() for
  /// first tokens. Undefined without positions.
  at::Tensor positions = {};
};

/// Views of such tensors; rows may lie apart, columns do not.
struct AttentionOperands {
  at::Tensor query;                         ///< [Q, H D]
  at::Tensor key, value;                    ///< [T, K D]
  at::Tensor position_query, position_key;  ///< [A, H D]; undefined: the scores lack that term
};

/// Throws invalid_argument where the columns are not those of the configuration.
AttentionOperands operands_of(const AttentionInputs& inputs, const AttentionConfig& config);

/// Complete and checked; holds what it needs, so that backward may keep it.
struct AttentionProblem {
  AttentionConfig config;
  AttentionInputs inputs;      ///< of one type, fp32 or bf16; without graph
  AttentionOperands operands;  ///< views of these
  float scale;
  std::optional<RelativeSlots> slots;  ///< where there are positions
  Dropout dropout;                     ///< of the probabilities
  PackedInput input;
  Mode mode;  ///< only training keeps what backward needs

  std::int64_t num_queries() const { return operands.query.size(0); }
};

/// Throws invalid_argument, in a sentence, for what no back end computes: types, shapes that do not fit, inputs without
/// a first token.
AttentionProblem attention_problem(const AttentionInputs& inputs, const AttentionConfig& config,
                                   const DropoutSite& dropout, const PackedInput& input, const ForwardContext& context);

struct AttentionResult {
  at::Tensor output;       ///< [Q, H D], type of the operands
  at::Tensor log_sum_exp;  ///< fp32 [H, Q], for backward; undefined outside of training
};

/// Tensors for a back end to write.
AttentionResult empty_result(const AttentionProblem& problem);

/// One way to compute attention problems.
struct AttentionKernels {
  AttentionResult (*forward)(const AttentionProblem& problem);
  /// Writes all `gradients`: of query, key and value in their type, of positions in fp32. Probabilities are computed
  /// again from the operands and the log-sum-exp, the dropout is drawn again. `output_gradient` is contiguous.
  void (*backward)(const AttentionProblem& problem, const at::Tensor& output_gradient, const at::Tensor& log_sum_exp,
                   const AttentionOperands& gradients);
};

}  // namespace meshfold::models::ops
