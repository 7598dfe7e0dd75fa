// Shapes: L tokens of one input, B queries of one strip, D width of one head padded to whole vectors, P row stride of
// the scores: L padded to whole vectors. Padding holds zeros, in scores a probability of zero.
#include "models/ops/kernels/strip_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "base/instruction_set.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/kernels/aligned_buffer.hpp"
#include "models/ops/kernels/attention_rows.hpp"
#include "models/ops/kernels/matmul.hpp"
#include "models/ops/kernels/small_products_bf16.hpp"
#include "models/ops/kernels/softmax_rows.hpp"

namespace meshfold::models::ops {
namespace {

/// Scores are held for so many queries at a time, so memory grows with the length, not with its square.
constexpr std::int64_t kStripQueries = 32;

/// Rows of scratch come in whole cache lines.
std::int64_t padded_columns(std::int64_t columns) { return (columns + 15) / 16 * 16; }

/// One input and head.
struct Task {
  std::int64_t first, length, head, stride;
  std::uint32_t philox_row;
};

/// What a task needs at once.
struct Needs {
  int matrices, strips, panels;
};

/// Scratch of one thread, for the longest input: matrices [L, D] (or [D, P]), strips [B, P], and rows of a head packed
/// for bf16 products.
class Scratch {
 public:
  Scratch(std::int64_t longest, std::int64_t head_width, const Needs& needs)
      : matrix_elements_(padded_columns(longest) * padded_columns(head_width)),
        strip_elements_(kStripQueries * padded_columns(longest)),
        panel_elements_(kernels::packed_elements(longest, head_width)),
        num_matrices_(needs.matrices),
        data_(needs.matrices * matrix_elements_ + needs.strips * strip_elements_),
        panels_(needs.panels * panel_elements_) {}

  float* matrix(int i) { return data_.data() + i * matrix_elements_; }
  float* strip(int i) { return data_.data() + num_matrices_ * matrix_elements_ + i * strip_elements_; }
  std::uint32_t* panels(int i) { return panels_.data() + i * panel_elements_; }

 private:
  std::int64_t matrix_elements_, strip_elements_, panel_elements_;
  int num_matrices_;
  AlignedBuffer<float> data_;
  AlignedBuffer<std::uint32_t> panels_;
};

/// A head's columns of one input: rows of `stride` elements.
template <typename T>
struct HeadRows {
  T* data;
  std::int64_t length, stride, width, padded_width;
};

struct GatherKernel {
  /// out [L, D] = factor x rows.
  template <typename T>
  [[gnu::always_inline]] static void run(const HeadRows<T>& rows, float factor, float* const& out) {
    for (std::int64_t t = 0; t < rows.length; ++t) {
      const T* row = rows.data + t * rows.stride;
      float* target = out + t * rows.padded_width;
      for (std::int64_t i = 0; i < rows.width; ++i) target[i] = static_cast<float>(row[i]) * factor;
      for (std::int64_t i = rows.width; i < rows.padded_width; ++i) target[i] = 0.0F;
    }
  }
};

struct GatherTransposedKernel {
  /// out [D, P] = rows^T.
  template <typename T>
  [[gnu::always_inline]] static void run(const HeadRows<T>& rows, std::int64_t stride, float* const& out) {
    for (std::int64_t i = 0; i < rows.width; ++i) {
      float* target = out + i * stride;
      for (std::int64_t t = 0; t < rows.length; ++t) target[t] = static_cast<float>(rows.data[t * rows.stride + i]);
      for (std::int64_t t = rows.length; t < stride; ++t) target[t] = 0.0F;
    }
  }
};

struct ScatterKernel {
  /// rows = factor x in [L, D].
  template <typename T>
  [[gnu::always_inline]] static void run(const float* const& in, float factor, const HeadRows<T>& rows) {
    for (std::int64_t t = 0; t < rows.length; ++t) {
      T* row = rows.data + t * rows.stride;
      for (std::int64_t i = 0; i < rows.width; ++i) row[i] = static_cast<T>(in[t * rows.padded_width + i] * factor);
    }
  }
};

/// Some queries against all keys.
struct Strip {
  float* scores;             ///< [B, P]
  const float* multipliers;  ///< dropout [B, P], or null
  std::int64_t num_queries, length, stride;
};

struct SoftmaxKernel {
  /// Scores become probabilities times multipliers; log_sum_exp [B] or null.
  [[gnu::always_inline]] static void run(const Strip& strip, float* const& log_sum_exp) {
    for (std::int64_t q = 0; q < strip.num_queries; ++q) {
      float* row = strip.scores + q * strip.stride;
      softmax_row(row, strip.length, strip.stride, log_sum_exp ? log_sum_exp + q : nullptr);
      if (!strip.multipliers) continue;
      const float* multipliers = strip.multipliers + q * strip.stride;
      for (std::int64_t k = 0; k < strip.stride; ++k) row[k] *= multipliers[k];
    }
  }
};

struct SoftmaxGradientKernel {
  /// `gradient` [B, P], of the dropped-out probabilities, becomes that of the scores; `weights` [B, P] receives the
  /// dropped-out probabilities and may be the multipliers. The softmax is made again from the scores and the
  /// log-sum-exp of forward.
  [[gnu::always_inline]] static void run(const Strip& strip, const float* const& log_sum_exp, float* const& gradient,
                                         float* const& weights) {
    for (std::int64_t q = 0; q < strip.num_queries; ++q) {
      const std::int64_t place = q * strip.stride;
      float *p = strip.scores + place, *g = gradient + place, *w = weights + place;
      probability_row(p, strip.length, strip.stride, log_sum_exp[q]);
      if (strip.multipliers) {
        const float* multipliers = strip.multipliers + place;
        for (std::int64_t k = 0; k < strip.stride; ++k) g[k] *= multipliers[k];
        for (std::int64_t k = 0; k < strip.stride; ++k) w[k] = p[k] * multipliers[k];
      } else {
        std::memcpy(w, p, static_cast<std::size_t>(strip.stride) * sizeof(float));
      }
      softmax_gradient_row(p, strip.stride, g);
    }
  }
};

/// work(task, scratch) for every input and head, in parallel.
template <typename Work>
void for_each_task(const AttentionProblem& problem, const Needs& needs, const Work& work) {
  const PackedInput& input = problem.input;
  const std::int64_t longest = longest_input(input), num_heads = problem.config.num_heads;
  at::parallel_for(0, input.num_inputs() * num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(longest, problem.config.head_width, needs);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / num_heads;
      const std::int64_t first = input.cu_seqlens[s], length = input.cu_seqlens[s + 1] - first;
      if (length == 0) continue;
      work(Task{first, length, i % num_heads, padded_columns(length), input.philox_rows[s]}, scratch);
    }
  });
}

/// The columns of one task.
template <typename T>
HeadRows<T> head_rows(const StridedRows<T>& rows, const Task& task, std::int64_t head_width) {
  return {rows[task.first] + task.head * head_width, task.length, rows.stride, head_width, padded_columns(head_width)};
}

/// Whether products of a head's rows take them as bf16.
template <typename T>
bool multiplies_rows(std::int64_t head_width) {
  return std::is_same_v<T, at::BFloat16> && base::has_avx512_bf16() && head_width % 2 == 0;
}

/// The right operand of products rows x columns^T over a head's width: what all queries of a task meet.
template <typename T>
class Columns {
 public:
  /// `panels` for bf16 products, `transposed` [D, P] for others.
  Columns(const HeadRows<const T>& rows, const Task& task, std::uint32_t* panels, float* transposed)
      : task_(task), width_(rows.width), padded_width_(rows.padded_width), panels_(panels), transposed_(transposed) {
    if constexpr (std::is_same_v<T, at::BFloat16>) {
      if (multiplies_rows<T>(width_)) {
        kernels::pack_bf16_rows(task.length, width_, {rows.data, rows.stride}, panels);
        return;
      }
    }
    base::run_kernel<GatherTransposedKernel>(rows, task.stride, transposed);
  }

  /// c [count, P] = scale x the rows first .. times the columns. `gathered` [L, D] holds the same rows in fp32, scaled;
  /// it is not read by bf16 products.
  void multiply(const HeadRows<const T>& rows, const float* gathered, float scale, std::int64_t first,
                std::int64_t count, float* c) const {
    const std::int64_t P = task_.stride, D = padded_width_;
    if constexpr (std::is_same_v<T, at::BFloat16>) {
      if (multiplies_rows<T>(width_)) {
        kernels::multiply_packed_rows(count, task_.length, width_, scale,
                                      {rows.data + first * rows.stride, rows.stride}, panels_, c, P);
        for (std::int64_t q = 0; q < count; ++q) std::fill(c + q * P + task_.length, c + (q + 1) * P, 0.0F);
        return;
      }
    }
    multiply_small(Transpose::kNo, Transpose::kNo, count, P, width_, 1.0F, gathered + first * D, D, transposed_, P, c,
                   P);
  }

 private:
  const Task& task_;
  std::int64_t width_, padded_width_;
  std::uint32_t* panels_;
  float* transposed_;
};

/// multipliers [count, P] of the queries from `first` on; null without dropout.
const float* draw(const Dropout& dropout, const Task& task, std::int64_t first, std::int64_t count, float* out) {
  if (!dropout.active()) return nullptr;
  const auto row = static_cast<std::uint32_t>((dropout.first_head() + task.head) << 20 | first);
  dropout.fill(task.philox_row, row, count, task.stride, out);
  return out;
}

template <typename T>
void forward_typed(const AttentionProblem& problem, AttentionResult& result) {
  const OperandRows<const T, const T> operands(problem.operands);
  const StridedRows<T> output = rows_of<T>(result.output);
  float* log_sum_exp = result.log_sum_exp.defined() ? result.log_sum_exp.mutable_data_ptr<float>() : nullptr;
  const std::int64_t width = problem.config.head_width, num_tokens = problem.num_queries();
  const float scale = problem.scale;
  const bool rows_as_they_are = multiplies_rows<T>(width);
  const Needs needs{.matrices = 4, .strips = 2, .panels = rows_as_they_are ? 1 : 0};
  for_each_task(problem, needs, [&](const Task& task, Scratch& scratch) {
    float *q = scratch.matrix(0), *v = scratch.matrix(2), *o = scratch.matrix(3), *scores = scratch.strip(0);
    const std::int64_t L = task.length, P = task.stride, D = padded_columns(width);
    const HeadRows<const T> queries = head_rows(operands.query, task, width);
    if (!rows_as_they_are) base::run_kernel<GatherKernel>(queries, scale, q);
    const Columns<T> keys(head_rows(operands.key, task, width), task, scratch.panels(0), scratch.matrix(1));
    base::run_kernel<GatherKernel>(head_rows(operands.value, task, width), 1.0F, v);
    float* statistics = log_sum_exp ? log_sum_exp + task.head * num_tokens + task.first : nullptr;
    for (std::int64_t first = 0; first < L; first += kStripQueries) {
      const std::int64_t count = std::min(kStripQueries, L - first);
      keys.multiply(queries, q, scale, first, count, scores);
      const Strip strip{scores, draw(problem.dropout, task, first, count, scratch.strip(1)), count, L, P};
      float* const of_strip = statistics ? statistics + first : nullptr;
      base::run_kernel<SoftmaxKernel>(strip, of_strip);
      multiply_small(Transpose::kNo, Transpose::kNo, count, D, L, 1.0F, scores, P, v, D, o + first * D, D);
    }
    base::run_kernel<ScatterKernel>(static_cast<const float*>(o), 1.0F, head_rows(output, task, width));
  });
}

template <typename T>
void backward_typed(const AttentionProblem& problem, const at::Tensor& dy, const at::Tensor& log_sum_exp,
                    const AttentionOperands& gradients) {
  const OperandRows<const T, const T> operands(problem.operands);
  const OperandRows<T, float> targets(gradients);
  const StridedRows<const T> output_gradient = rows_of<const T>(dy);
  const float* all_statistics = log_sum_exp.const_data_ptr<float>();
  const std::int64_t width = problem.config.head_width, num_tokens = problem.num_queries();
  const float scale = problem.scale;
  const Needs needs{.matrices = 8, .strips = 3, .panels = multiplies_rows<T>(width) ? 2 : 0};
  for_each_task(problem, needs, [&](const Task& task, Scratch& scratch) {
    float *q = scratch.matrix(0), *k = scratch.matrix(1), *go = scratch.matrix(4), *gq = scratch.matrix(5),
          *gk = scratch.matrix(6), *gv = scratch.matrix(7);
    float *scores = scratch.strip(0), *weights = scratch.strip(1), *gs = scratch.strip(2);
    const std::int64_t L = task.length, P = task.stride, D = padded_columns(width);
    const HeadRows<const T> queries = head_rows(operands.query, task, width),
                            key_rows = head_rows(operands.key, task, width),
                            value_rows = head_rows(operands.value, task, width),
                            output_rows = head_rows(output_gradient, task, width);
    base::run_kernel<GatherKernel>(queries, scale, q);
    base::run_kernel<GatherKernel>(key_rows, 1.0F, k);
    base::run_kernel<GatherKernel>(output_rows, 1.0F, go);
    const Columns<T> keys(key_rows, task, scratch.panels(0), scratch.matrix(2));
    const Columns<T> values(value_rows, task, scratch.panels(1), scratch.matrix(3));
    const float* const statistics = all_statistics + task.head * num_tokens + task.first;
    for (std::int64_t first = 0; first < L; first += kStripQueries) {
      const std::int64_t count = std::min(kStripQueries, L - first);
      const auto multiply_or_add = first == 0 ? multiply_small : multiply_add_small;
      const float *q_strip = q + first * D, *go_strip = go + first * D;
      keys.multiply(queries, q, scale, first, count, scores);
      values.multiply(output_rows, go, 1.0F, first, count, gs);
      const Strip strip{scores, draw(problem.dropout, task, first, count, weights), count, L, P};
      base::run_kernel<SoftmaxGradientKernel>(strip, statistics + first, gs, weights);
      multiply_or_add(Transpose::kYes, Transpose::kNo, L, D, count, 1.0F, weights, P, go_strip, D, gv, D);
      multiply_small(Transpose::kNo, Transpose::kNo, count, D, L, 1.0F, gs, P, k, D, gq + first * D, D);
      multiply_or_add(Transpose::kYes, Transpose::kNo, L, D, count, 1.0F, gs, P, q_strip, D, gk, D);
    }
    // q was scaled when it was gathered, so gk is complete.
    base::run_kernel<ScatterKernel>(static_cast<const float*>(gq), scale, head_rows(targets.query, task, width));
    base::run_kernel<ScatterKernel>(static_cast<const float*>(gk), 1.0F, head_rows(targets.key, task, width));
    base::run_kernel<ScatterKernel>(static_cast<const float*>(gv), 1.0F, head_rows(targets.value, task, width));
  });
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

AttentionKernels strip_attention() { return {forward, backward}; }

}  // namespace meshfold::models::ops
