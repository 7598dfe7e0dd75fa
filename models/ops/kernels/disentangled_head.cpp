// Shapes: L tokens of the input, D columns of the head, B queries of a block, P row stride of scores (L rounded up to
// eight draws of dropout), C slots that a block of rows touches, S row stride of slots.
#include "models/ops/kernels/disentangled_head.hpp"

#include <algorithm>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/matmul.hpp"
#include "models/ops/kernels/relative_rows_avx512.hpp"
#include "models/ops/kernels/softmax_rows.hpp"

namespace meshfold::models::ops {
namespace {

constexpr std::int64_t kBlockRows = 64;
constexpr std::int64_t kBeyond = 16;  ///< floats that vectors may read behind the last row of slots

struct Range {
  std::int64_t first, count;
};

/// Consecutive rows (queries or keys) and the slots that they touch: of a query and all keys, of a key and all queries.
struct Block {
  std::int64_t begin, count;
  Range slots;
};

Range slots_between(const RelativeSlots& slots, std::int64_t lowest_distance, std::int64_t highest_distance) {
  const std::int64_t first = slots.slot(lowest_distance);
  return {first, slots.slot(highest_distance) - first + 1};
}

Block query_block(const HeadProblem& problem, std::int64_t begin) {
  const std::int64_t end = std::min(problem.length, begin + kBlockRows);
  const Range slots =
      problem.slots ? slots_between(*problem.slots, begin - (problem.length - 1), end - 1) : Range{0, 0};
  return {begin, end - begin, slots};
}

Block key_block(const HeadProblem& problem, std::int64_t begin) {
  const std::int64_t end = std::min(problem.length, begin + kBlockRows);
  const Range slots = problem.slots ? slots_between(*problem.slots, 1 - end, problem.length - 1 - begin) : Range{0, 0};
  return {begin, end - begin, slots};
}

/// Slots that a block of rows can touch, as a row stride. Rows of a power of two of bytes would share few cache sets.
std::int64_t slot_stride_of(std::int64_t longest, const RelativeSlots* slots) {
  constexpr std::int64_t kLine = 16;
  if (!slots) return 0;
  const std::int64_t lines = (std::min(slots->count(), longest + kBlockRows - 1) + kLine - 1) / kLine;
  return (lines | 1) * kLine;
}

/// A block of queries against all keys, with what the kernels below need.
struct ScoreBlock {
  const HeadProblem* problem;
  Block block;
  std::int64_t stride, slot_stride;
  float* scores;                           ///< [B, P], or their gradient
  float *query_positions, *key_positions;  ///< [B, S], [L, S], or their gradients; null: none
};

struct AddPositionsKernel {
  /// scores[q, k] += query_positions[q, slot] + key_positions[k, slot], slot of q - k.
  [[gnu::always_inline]] static void run(const ScoreBlock& b) {
    const std::int64_t length = b.problem->length, slot_stride = b.slot_stride;
    for (std::int64_t i = 0; i < b.block.count; ++i) {
      const std::int32_t* slot = b.problem->slots->of_query(b.block.begin + i);
      float* scores = b.scores + i * b.stride;
      if (b.query_positions) {
        const float* positions = b.query_positions + i * slot_stride - b.block.slots.first;
        for (std::int64_t k = 0; k < length; ++k) scores[k] += positions[slot[k]];
      }
      if (!b.key_positions) continue;
      for (std::int64_t begin = 0; begin < length; begin += kBlockRows) {
        const Block keys = key_block(*b.problem, begin);
        const float* positions = b.key_positions - keys.slots.first;
        for (std::int64_t k = begin; k < begin + keys.count; ++k) scores[k] += positions[k * slot_stride + slot[k]];
      }
    }
  }
};

/// The transpose of AddPositionsKernel: the gradient of the scores is added to its slots.
void scatter_to_positions(const ScoreBlock& b) {
  const std::int64_t length = b.problem->length, slot_stride = b.slot_stride;
  for (std::int64_t i = 0; i < b.block.count; ++i) {
    const std::int32_t* slot = b.problem->slots->of_query(b.block.begin + i);
    const float* gradient = b.scores + i * b.stride;
    if (b.query_positions) {
      float* positions = b.query_positions + i * slot_stride - b.block.slots.first;
      for (std::int64_t k = 0; k < length; ++k) positions[slot[k]] += gradient[k];
    }
    if (!b.key_positions) continue;
    for (std::int64_t begin = 0; begin < length; begin += kBlockRows) {
      const Block keys = key_block(*b.problem, begin);
      float* positions = b.key_positions - keys.slots.first;
      for (std::int64_t k = begin; k < begin + keys.count; ++k) positions[k * slot_stride + slot[k]] += gradient[k];
    }
  }
}

bool has_vector_slots(const HeadProblem& problem) { return base::has_avx512() && problem.slots->rises_one_by_one(); }

kernels::ScoreRows score_rows(const ScoreBlock& b) {
  return {b.scores, b.stride, b.block.begin, b.block.begin + b.block.count, b.problem->length};
}

kernels::SlotBlock query_rows(const ScoreBlock& b) {
  return {b.query_positions, b.slot_stride, b.block.begin, b.block.begin + b.block.count, b.block.slots.first};
}

/// work(rows) for each block of keys.
template <typename Work>
void for_key_rows(const ScoreBlock& b, const Work& work) {
  for (std::int64_t begin = 0; begin < b.problem->length; begin += kBlockRows) {
    const Block keys = key_block(*b.problem, begin);
    work(kernels::SlotBlock{b.key_positions + begin * b.slot_stride, b.slot_stride, begin, begin + keys.count,
                            keys.slots.first});
  }
}

void add_positions(const ScoreBlock& b) {
  if (!has_vector_slots(*b.problem)) return base::run_kernel<AddPositionsKernel>(b);
  const RelativeSlots& slots = *b.problem->slots;
  if (b.query_positions) kernels::add_query_rows(slots, query_rows(b), score_rows(b));
  if (!b.key_positions) return;
  for_key_rows(b, [&](const kernels::SlotBlock& keys) { kernels::add_key_rows(slots, keys, score_rows(b)); });
}

void spread_to_positions(const ScoreBlock& b) {
  if (!has_vector_slots(*b.problem)) return scatter_to_positions(b);
  const RelativeSlots& slots = *b.problem->slots;
  if (b.query_positions) kernels::spread_to_query_rows(slots, score_rows(b), query_rows(b));
  if (!b.key_positions) return;
  for_key_rows(b, [&](const kernels::SlotBlock& keys) { kernels::spread_to_key_rows(slots, score_rows(b), keys); });
}

struct SoftmaxKernel {
  [[gnu::always_inline]] static void run(const ScoreBlock& b, float* const& log_sum_exp) {
    for (std::int64_t i = 0; i < b.block.count; ++i)
      softmax_row(b.scores + i * b.stride, b.problem->length, b.stride, log_sum_exp ? log_sum_exp + i : nullptr);
  }
};

struct ProbabilityKernel {
  [[gnu::always_inline]] static void run(const ScoreBlock& b, const float* const& log_sum_exp) {
    for (std::int64_t i = 0; i < b.block.count; ++i)
      probability_row(b.scores + i * b.stride, b.problem->length, b.stride, log_sum_exp[i]);
  }
};

struct SoftmaxGradientKernel {
  [[gnu::always_inline]] static void run(const ScoreBlock& b, const float* const& probabilities) {
    for (std::int64_t i = 0; i < b.block.count; ++i)
      softmax_gradient_row(probabilities + i * b.stride, b.stride, b.scores + i * b.stride);
  }
};

struct MultiplyKernel {
  [[gnu::always_inline]] static void run(const float* const& a, const float* const& b, std::int64_t count,
                                         float* const& out) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] * b[i];
  }
};

void draw_multipliers(const HeadProblem& problem, const Block& block, float* out) {
  const auto first = static_cast<std::uint32_t>((problem.dropout->first_head() + problem.head) << 20 | block.begin);
  problem.dropout->fill(problem.philox_row, first, block.count, problem.length, out);
}

/// Rows of one operand: fp32, and bf16 where the problem has it so.
struct Operand {
  const float* rows;
  kernels::Bf16Rows source;
  std::int64_t first;  ///< row
};

/// c [m, n] = alpha A B^T over the head's columns.
void multiply_rows(const HeadProblem& p, std::int64_t m, std::int64_t n, float alpha, const Operand& a,
                   const Operand& b, float* c, std::int64_t ldc) {
  const std::int64_t D = p.width;
  if (a.source.data && b.source.data)
    return kernels::multiply_bf16_rows(m, n, D, alpha, a.source.from(a.first), b.source.from(b.first), c, ldc);
  multiply_small(Transpose::kNo, Transpose::kYes, m, n, D, alpha, a.rows + a.first * D, D, b.rows + b.first * D, D, c,
                 ldc);
}

/// scale * key position_query^T, block by block of keys: what the scores of a key add for each slot.
void multiply_key_positions(const HeadProblem& p, HeadScratch& scratch) {
  const std::int64_t stride = scratch.slot_stride();
  for (std::int64_t begin = 0; begin < p.length; begin += kBlockRows) {
    const Block keys = key_block(p, begin);
    multiply_rows(p, keys.count, keys.slots.count, p.scale, {p.key, p.sources.key, begin},
                  {p.position_query, p.sources.position_query, keys.slots.first},
                  scratch.key_positions() + begin * stride, stride);
  }
}

/// The block's scores before the softmax, all three terms.
ScoreBlock compute_scores(const HeadProblem& p, const Block& block, HeadScratch& scratch) {
  const std::int64_t stride = Dropout::padded_width(p.length);
  ScoreBlock result{&p,
                    block,
                    stride,
                    scratch.slot_stride(),
                    scratch.scores(),
                    p.position_key ? scratch.query_positions() : nullptr,
                    p.position_query ? scratch.key_positions() : nullptr};
  const Operand query{p.query, p.sources.query, block.begin};
  multiply_rows(p, block.count, p.length, p.scale, query, {p.key, p.sources.key, 0}, result.scores, stride);
  if (p.position_key) {
    multiply_rows(p, block.count, block.slots.count, p.scale, query,
                  {p.position_key, p.sources.position_key, block.slots.first}, result.query_positions,
                  result.slot_stride);
  }
  if (p.position_key || p.position_query) add_positions(result);
  return result;
}

}  // namespace

HeadScratch::HeadScratch(std::int64_t longest, const RelativeSlots* slots, Pass pass)
    : slot_stride_(slot_stride_of(longest, slots)),
      block_scores_(std::min(longest, kBlockRows) * Dropout::padded_width(longest)),
      block_slots_(std::min(longest, kBlockRows) * slot_stride_),
      key_slots_(longest * slot_stride_),
      squares_((pass == Pass::kForward ? 2 : 4) * block_scores_),
      slot_rows_((pass == Pass::kForward ? 1 : 2) * block_slots_ + kBeyond),
      key_rows_((pass == Pass::kForward ? 1 : 2) * key_slots_ + kBeyond) {}

void head_forward(const HeadProblem& p, HeadScratch& scratch, float* output, float* log_sum_exp) {
  const std::int64_t D = p.width;
  if (p.position_query) multiply_key_positions(p, scratch);
  for (std::int64_t begin = 0; begin < p.length; begin += kBlockRows) {
    const Block block = query_block(p, begin);
    const ScoreBlock b = compute_scores(p, block, scratch);
    float* const statistics = log_sum_exp ? log_sum_exp + begin : nullptr;
    base::run_kernel<SoftmaxKernel>(b, statistics);
    if (p.dropout->active()) {
      float* const multipliers = scratch.multipliers();
      draw_multipliers(p, block, multipliers);
      base::run_kernel<MultiplyKernel>(b.scores, multipliers, block.count * b.stride, b.scores);
    }
    multiply_small(Transpose::kNo, Transpose::kNo, block.count, D, p.length, 1.0F, b.scores, b.stride, p.value, D,
                   output + begin * D, D);
  }
}

namespace {

/// The gradient of one block's scores and, on the way, the value's share of it. Returns it in scratch.score_gradient().
ScoreBlock score_gradient(const HeadProblem& p, const Block& block, HeadScratch& scratch, const float* output_gradient,
                          const float* log_sum_exp, float* value_gradient) {
  const std::int64_t D = p.width, L = p.length;
  const ScoreBlock b = compute_scores(p, block, scratch);
  const float* const statistics = log_sum_exp + block.begin;
  base::run_kernel<ProbabilityKernel>(b, statistics);
  ScoreBlock gradient = b;
  gradient.scores = scratch.score_gradient();
  std::fill(gradient.scores, gradient.scores + block.count * b.stride, 0.0F);  // the padding takes part in sums
  const float* dy = output_gradient + block.begin * D;
  multiply_rows(p, block.count, L, 1.0F, {output_gradient, p.sources.output_gradient, block.begin},
                {p.value, p.sources.value, 0}, gradient.scores, b.stride);
  const float* weights = b.scores;
  if (p.dropout->active()) {
    float *const multipliers = scratch.multipliers(), *const dropped = scratch.dropped();
    draw_multipliers(p, block, multipliers);
    base::run_kernel<MultiplyKernel>(b.scores, multipliers, block.count * b.stride, dropped);
    base::run_kernel<MultiplyKernel>(gradient.scores, multipliers, block.count * b.stride, gradient.scores);
    weights = dropped;
  }
  multiply_add_small(Transpose::kYes, Transpose::kNo, L, D, block.count, 1.0F, weights, b.stride, dy, D, value_gradient,
                     D);
  base::run_kernel<SoftmaxGradientKernel>(gradient, b.scores);
  return gradient;
}

/// Hands the score gradient of a block on to what the block's scores were made of, except the keys' slots, which it
/// leaves in scratch.key_position_gradient().
void spread_score_gradient(const HeadProblem& p, HeadScratch& scratch, ScoreBlock g, const HeadGradients& gradients) {
  const std::int64_t D = p.width, L = p.length, rows = g.block.count, begin = g.block.begin;
  const Range slots = g.block.slots;
  multiply_small(Transpose::kNo, Transpose::kNo, rows, D, L, p.scale, g.scores, g.stride, p.key, D,
                 gradients.query + begin * D, D);
  multiply_add_small(Transpose::kYes, Transpose::kNo, L, D, rows, p.scale, g.scores, g.stride, p.query + begin * D, D,
                     gradients.key, D);
  if (!p.position_key && !p.position_query) return;
  g.query_positions = p.position_key ? scratch.query_position_gradient() : nullptr;
  g.key_positions = p.position_query ? scratch.key_position_gradient() : nullptr;
  if (p.position_key) std::fill(g.query_positions, g.query_positions + rows * g.slot_stride, 0.0F);
  spread_to_positions(g);
  if (!p.position_key) return;
  multiply_add_small(Transpose::kNo, Transpose::kNo, rows, D, slots.count, p.scale, g.query_positions, g.slot_stride,
                     p.position_key + slots.first * D, D, gradients.query + begin * D, D);
  multiply_add_small(Transpose::kYes, Transpose::kNo, slots.count, D, rows, p.scale, g.query_positions, g.slot_stride,
                     p.query + begin * D, D, gradients.position_key + slots.first * D, D);
}

void spread_key_position_gradient(const HeadProblem& p, HeadScratch& scratch, const HeadGradients& gradients) {
  const std::int64_t D = p.width, stride = scratch.slot_stride();
  for (std::int64_t begin = 0; begin < p.length; begin += kBlockRows) {
    const Block keys = key_block(p, begin);
    const float* gradient = scratch.key_position_gradient() + begin * stride;
    const std::int64_t offset = keys.slots.first * D;
    multiply_add_small(Transpose::kNo, Transpose::kNo, keys.count, D, keys.slots.count, p.scale, gradient, stride,
                       p.position_query + offset, D, gradients.key + begin * D, D);
    multiply_add_small(Transpose::kYes, Transpose::kNo, keys.slots.count, D, keys.count, p.scale, gradient, stride,
                       p.key + begin * D, D, gradients.position_query + offset, D);
  }
}

}  // namespace

void head_backward(const HeadProblem& p, HeadScratch& scratch, const float* output_gradient, const float* log_sum_exp,
                   const HeadGradients& gradients) {
  std::fill(gradients.key, gradients.key + p.length * p.width, 0.0F);
  std::fill(gradients.value, gradients.value + p.length * p.width, 0.0F);
  if (p.position_query) {
    multiply_key_positions(p, scratch);
    float* const sums = scratch.key_position_gradient();
    std::fill(sums, sums + p.length * scratch.slot_stride(), 0.0F);
  }
  for (std::int64_t begin = 0; begin < p.length; begin += kBlockRows) {
    const Block block = query_block(p, begin);
    spread_score_gradient(p, scratch, score_gradient(p, block, scratch, output_gradient, log_sum_exp, gradients.value),
                          gradients);
  }
  if (p.position_query) spread_key_position_gradient(p, scratch, gradients);
}

}  // namespace meshfold::models::ops
