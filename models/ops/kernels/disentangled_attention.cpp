// Shapes: T tokens of the pack, D columns of a head, A active slots, L tokens of an input.
#include "models/ops/kernels/disentangled_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <type_traits>
#include <vector>

#include "base/instruction_set.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/kernels/attention_rows.hpp"
#include "models/ops/kernels/disentangled_head.hpp"

namespace meshfold::models::ops {
namespace {

/// Inputs are cut into this many shares whatever the number of threads: position gradients are summed input by input
/// within a share, then share by share.
constexpr std::int64_t kShares = 4;

/// One head's columns of `count` rows as contiguous fp32 rows, out [count, width].
template <typename T>
void gather_rows(const StridedRows<const T>& rows, std::int64_t count, std::int64_t width, float* out) {
  for (std::int64_t r = 0; r < count; ++r) {
    const T* row = rows[r];
    for (std::int64_t i = 0; i < width; ++i) out[r * width + i] = static_cast<float>(row[i]);
  }
}

/// The other way, rounded to the target's type.
template <typename T>
void scatter_rows(const float* in, std::int64_t count, std::int64_t width, const StridedRows<T>& rows) {
  for (std::int64_t r = 0; r < count; ++r) {
    T* row = rows[r];
    for (std::int64_t i = 0; i < width; ++i) row[i] = static_cast<T>(in[r * width + i]);
  }
}

/// First input of each share and the end, near-equal in cost.
std::array<std::int64_t, kShares + 1> cut_into_shares(const PackedInput& input, std::int64_t active) {
  std::vector<std::int64_t> ends;  // of the cumulative cost
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t length = input.cu_seqlens[s + 1] - input.cu_seqlens[s];
    ends.push_back((ends.empty() ? 0 : ends.back()) + length * (2 * length + active));
  }
  std::array<std::int64_t, kShares + 1> cuts{};
  std::int64_t input_index = 0;
  for (std::int64_t share = 1; share <= kShares; ++share) {
    while (input_index < input.num_inputs()) {
      const std::int64_t begin = input_index == 0 ? 0 : ends[input_index - 1];
      if (share < kShares && kShares * (begin + ends[input_index]) > 2 * share * ends.back()) break;
      ++input_index;
    }
    cuts[share] = input_index;
  }
  return cuts;
}

std::int64_t active_slots(const AttentionProblem& problem) { return problem.slots ? problem.slots->count() : 0; }

/// The buffers of one task, reused from input to input.
class Buffers {
 public:
  Buffers(const AttentionProblem& problem, int num_rows, int num_positions)
      : row_elements_(longest_input(problem.input) * problem.config.head_width),
        position_elements_(active_slots(problem) * problem.config.head_width),
        rows_(num_rows * row_elements_),
        positions_(num_positions * position_elements_) {}

  float* rows(int i) { return rows_.data() + i * row_elements_; }                 ///< [L, D]
  float* positions(int i) { return positions_.data() + i * position_elements_; }  ///< [A, D]
  void clear_positions(int i) { std::fill(positions(i), positions(i) + position_elements_, 0.0F); }

 private:
  std::int64_t row_elements_, position_elements_;
  std::vector<float> rows_, positions_;
};

// What lies in them: rows, then positions.
constexpr int kQuery = 0, kKey = 1, kValue = 2, kOutput = 3, kForwardRows = 4;
constexpr int kOutputGradient = 3, kQueryGradient = 4, kKeyGradient = 5, kValueGradient = 6, kBackwardRows = 7;
constexpr int kPositionQuery = 0, kPositionKey = 1, kForwardPositions = 2;
constexpr int kPositionQueryGradient = 2, kPositionKeyGradient = 3, kBackwardPositions = 4;

/// begin_head(head, buffers), on_input(input, head, scratch, buffers) for each of a share's inputs, then
/// end_head(share, head, buffers): in parallel over shares and heads.
template <typename BeginHead, typename OnInput, typename EndHead>
void for_each_head(const AttentionProblem& problem, HeadScratch::Pass pass, const BeginHead& begin_head,
                   const OnInput& on_input, const EndHead& end_head) {
  const PackedInput& input = problem.input;
  const std::int64_t longest = longest_input(input), num_heads = problem.config.num_heads;
  const RelativeSlots* slots = problem.slots ? &*problem.slots : nullptr;
  const auto cuts = cut_into_shares(input, active_slots(problem));
  const bool forward = pass == HeadScratch::Pass::kForward;
  at::parallel_for(0, kShares * num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    HeadScratch scratch(longest, slots, pass);
    Buffers buffers(problem, forward ? kForwardRows : kBackwardRows, forward ? kForwardPositions : kBackwardPositions);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t share = i / num_heads, head = i % num_heads;
      begin_head(head, buffers);
      for (std::int64_t s = cuts[share]; s < cuts[share + 1]; ++s) {
        if (input.cu_seqlens[s + 1] > input.cu_seqlens[s]) on_input(s, head, scratch, buffers);
      }
      end_head(share, head, buffers);
    }
  });
}

template <typename T>
void gather_positions(const AttentionProblem& problem, const OperandRows<const T, const T>& of_head, Buffers& buffers) {
  const std::int64_t active = active_slots(problem), width = problem.config.head_width;
  if (of_head.position_query.data)
    gather_rows(of_head.position_query, active, width, buffers.positions(kPositionQuery));
  if (of_head.position_key.data) gather_rows(of_head.position_key, active, width, buffers.positions(kPositionKey));
}

/// One head of input s, gathered. With its operands in bf16 too, where products of such are fast.
template <typename T>
HeadProblem gather_problem(const AttentionProblem& all, const OperandRows<const T, const T>& of_head, std::int64_t s,
                           std::int64_t head, Buffers& buffers) {
  const std::int64_t first = all.input.cu_seqlens[s], width = all.config.head_width;
  const StridedRows<const T> query = of_head.query.from(first), key = of_head.key.from(first),
                             value = of_head.value.from(first);
  HeadProblem problem;
  problem.length = all.input.cu_seqlens[s + 1] - first;
  problem.width = width;
  problem.head = head;
  problem.philox_row = all.input.philox_rows[s];
  problem.scale = all.scale;
  problem.slots = all.slots ? &*all.slots : nullptr;
  problem.dropout = &all.dropout;
  problem.query = buffers.rows(kQuery);
  problem.key = buffers.rows(kKey);
  problem.value = buffers.rows(kValue);
  if (of_head.position_query.data) problem.position_query = buffers.positions(kPositionQuery);
  if (of_head.position_key.data) problem.position_key = buffers.positions(kPositionKey);
  gather_rows(query, problem.length, width, buffers.rows(kQuery));
  gather_rows(key, problem.length, width, buffers.rows(kKey));
  gather_rows(value, problem.length, width, buffers.rows(kValue));
  if constexpr (std::is_same_v<T, at::BFloat16>) {
    if (base::has_avx512_bf16() && width % 2 == 0) {
      problem.sources = {.query = query,
                         .key = key,
                         .value = value,
                         .output_gradient = {},
                         .position_query = of_head.position_query,
                         .position_key = of_head.position_key};
    }
  }
  return problem;
}

template <typename T>
void forward_typed(const AttentionProblem& all, AttentionResult& result) {
  const OperandRows<const T, const T> operands(all.operands);
  const StridedRows<T> output = rows_of<T>(result.output);
  float* log_sum_exp = result.log_sum_exp.defined() ? result.log_sum_exp.mutable_data_ptr<float>() : nullptr;
  const std::int64_t width = all.config.head_width, num_tokens = all.num_queries();
  for_each_head(
      all, HeadScratch::Pass::kForward,
      [&](std::int64_t head, Buffers& buffers) { gather_positions(all, operands.of_head(head, width), buffers); },
      [&](std::int64_t s, std::int64_t head, HeadScratch& scratch, Buffers& buffers) {
        const std::int64_t first = all.input.cu_seqlens[s];
        const HeadProblem problem = gather_problem(all, operands.of_head(head, width), s, head, buffers);
        head_forward(problem, scratch, buffers.rows(kOutput),
                     log_sum_exp ? log_sum_exp + head * num_tokens + first : nullptr);
        scatter_rows(buffers.rows(kOutput), problem.length, width, output.from(first).columns_from(head * width));
      },
      [](std::int64_t, std::int64_t, Buffers&) {});
}

/// The position gradients of each share, [shares, A, H D].
class ShareSums {
 public:
  /// `gradient` may be undefined: there is no such term.
  explicit ShareSums(const at::Tensor& gradient) : gradient_(gradient) {
    if (gradient.defined()) sums_ = at::empty({kShares, gradient.size(0), gradient.size(1)}, gradient.options());
  }
  void write(std::int64_t share, std::int64_t column, const float* rows, std::int64_t width) {
    if (!sums_.defined()) return;
    float* const sums = sums_.mutable_data_ptr<float>() + share * sums_.stride(0) + column;
    scatter_rows(rows, sums_.size(1), width, StridedRows<float>{sums, sums_.stride(1)});
  }
  void add_up() const {
    if (!sums_.defined()) return;
    gradient_.copy_(sums_[0]);
    for (std::int64_t share = 1; share < kShares; ++share) gradient_.add_(sums_[share]);
  }

 private:
  at::Tensor gradient_, sums_;
};

template <typename T>
void backward_typed(const AttentionProblem& all, const at::Tensor& dy, const at::Tensor& log_sum_exp,
                    const AttentionOperands& gradients) {
  const OperandRows<const T, const T> operands(all.operands);
  const OperandRows<T, float> targets(gradients);
  const StridedRows<const T> output_gradient = rows_of<const T>(dy);
  const float* statistics = log_sum_exp.const_data_ptr<float>();
  ShareSums position_query(gradients.position_query), position_key(gradients.position_key);
  const std::int64_t width = all.config.head_width, num_tokens = all.num_queries();
  for_each_head(
      all, HeadScratch::Pass::kBackward,
      [&](std::int64_t head, Buffers& buffers) {
        gather_positions(all, operands.of_head(head, width), buffers);
        buffers.clear_positions(kPositionQueryGradient);
        buffers.clear_positions(kPositionKeyGradient);
      },
      [&](std::int64_t s, std::int64_t head, HeadScratch& scratch, Buffers& buffers) {
        const std::int64_t first = all.input.cu_seqlens[s];
        const StridedRows<const T> own_gradient = output_gradient.from(first).columns_from(head * width);
        HeadProblem problem = gather_problem(all, operands.of_head(head, width), s, head, buffers);
        gather_rows(own_gradient, problem.length, width, buffers.rows(kOutputGradient));
        if constexpr (std::is_same_v<T, at::BFloat16>) {
          if (problem.sources.query.data) problem.sources.output_gradient = own_gradient;
        }
        head_backward(problem, scratch, buffers.rows(kOutputGradient), statistics + head * num_tokens + first,
                      {buffers.rows(kQueryGradient), buffers.rows(kKeyGradient), buffers.rows(kValueGradient),
                       buffers.positions(kPositionQueryGradient), buffers.positions(kPositionKeyGradient)});
        const OperandRows<T, float> own = targets.of_head(head, width);
        scatter_rows(buffers.rows(kQueryGradient), problem.length, width, own.query.from(first));
        scatter_rows(buffers.rows(kKeyGradient), problem.length, width, own.key.from(first));
        scatter_rows(buffers.rows(kValueGradient), problem.length, width, own.value.from(first));
      },
      [&](std::int64_t share, std::int64_t head, Buffers& buffers) {
        position_query.write(share, head * width, buffers.positions(kPositionQueryGradient), width);
        position_key.write(share, head * width, buffers.positions(kPositionKeyGradient), width);
      });
  position_query.add_up();
  position_key.add_up();
}

AttentionResult forward(const AttentionProblem& problem) {
  AttentionResult result = empty_result(problem);
  dispatch_operands(problem.operands.query.scalar_type(), "attention",
                    [&]<typename T>() { forward_typed<T>(problem, result); });
  return result;
}

void backward(const AttentionProblem& problem, const at::Tensor& output_gradient, const at::Tensor& log_sum_exp,
              const AttentionOperands& gradients) {
  dispatch_operands(problem.operands.query.scalar_type(), "attention",
                    [&]<typename T>() { backward_typed<T>(problem, output_gradient, log_sum_exp, gradients); });
}

}  // namespace

AttentionKernels disentangled_attention() { return {forward, backward}; }

}  // namespace meshfold::models::ops
