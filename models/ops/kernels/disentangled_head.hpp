#pragma once

#include <cstdint>
#include <vector>

#include "models/context/dropout.hpp"
#include "models/ops/kernels/small_products_bf16.hpp"
#include "models/ops/problems/relative_slots.hpp"

/// Disentangled attention of one head within one input, in fp32, on one thread. Queries are taken in blocks, so scratch
/// grows with the length and the slots, never with the length squared.
namespace meshfold::models::ops {

/// The rows that products of two given operands read, as they lie in memory in bf16.
struct HeadSources {
  kernels::Bf16Rows query, key, value, output_gradient;  ///< [L, D]
  kernels::Bf16Rows position_query, position_key;        ///< [A, D]
};

/// What a head attends with. L tokens, D columns a head, A active slots of the pack.
struct HeadProblem {
  std::int64_t length = 0, width = 0, head = 0;
  std::uint32_t philox_row = 0;
  float scale = 1.0F;                                              ///< on the sum of all three terms
  const RelativeSlots* slots = nullptr;                            ///< may be null without positions
  const Dropout* dropout = nullptr;                                ///< of the probabilities
  const float *query = nullptr, *key = nullptr, *value = nullptr;  ///< [L, D]
  const float *position_query = nullptr, *position_key = nullptr;  ///< [A, D]; null: the scores lack that term
  HeadSources sources;  ///< of the same values; null where bf16 products are not to be used
};

/// Scratch of one thread for every head of a pack.
class HeadScratch {
 public:
  enum class Pass { kForward, kBackward };
  /// `slots` may be null.
  HeadScratch(std::int64_t longest, const RelativeSlots* slots, Pass pass);

  std::int64_t slot_stride() const { return slot_stride_; }
  float* scores() { return block(0); }                                           ///< [block, P]
  float* multipliers() { return block(1); }                                      ///< [block, P]
  float* dropped() { return block(2); }                                          ///< [block, P], backward only
  float* score_gradient() { return block(3); }                                   ///< [block, P], backward only
  float* query_positions() { return slot_rows_.data(); }                         ///< [block, slot stride]
  float* query_position_gradient() { return slot_rows_.data() + block_slots_; }  ///< backward only
  float* key_positions() { return key_rows_.data(); }                            ///< [L, slot stride]
  float* key_position_gradient() { return key_rows_.data() + key_slots_; }       ///< backward only

 private:
  float* block(int i) { return squares_.data() + i * block_scores_; }

  std::int64_t slot_stride_, block_scores_, block_slots_, key_slots_;
  std::vector<float> squares_, slot_rows_, key_rows_;
};

/// output [L, D]; log_sum_exp [L], null: not wanted.
void head_forward(const HeadProblem& problem, HeadScratch& scratch, float* output, float* log_sum_exp);

/// Where backward puts its results: the first three are overwritten, the positions' are added to.
struct HeadGradients {
  float *query = nullptr, *key = nullptr, *value = nullptr;  ///< [L, D]
  float *position_query = nullptr, *position_key = nullptr;  ///< [A, D]; null where the problem has none
};

/// `output_gradient` [L, D]; `log_sum_exp` as forward left it.
void head_backward(const HeadProblem& problem, HeadScratch& scratch, const float* output_gradient,
                   const float* log_sum_exp, const HeadGradients& gradients);

}  // namespace meshfold::models::ops
