// Shapes: L tokens of one input, B queries of one strip, D width of one head padded to whole vectors, P row stride of
// the scores: L padded to whole vectors. Padding holds zeros, in scores a probability of zero.
#include "models/ops/attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/context/dropout.hpp"
#include "models/ops/aten/attention.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/aligned_buffer.hpp"
#include "models/ops/kernels/matmul.hpp"
#include "models/ops/kernels/small_products_bf16.hpp"
#include "models/ops/kernels/softmax_rows.hpp"
#include "models/ops/problems/relative_slots.hpp"

namespace meshfold::models::ops {
namespace {

/// Scores are held for so many queries at a time, so memory grows with the length, not with its square.
constexpr std::int64_t kStripQueries = 32;

/// Rows of scratch come in whole cache lines.
std::int64_t padded_columns(std::int64_t columns) { return (columns + 15) / 16 * 16; }

struct Shape {
  std::int64_t tokens, width, num_heads, head_width;
  float scale;
  std::int64_t padded_head_width() const { return padded_columns(head_width); }
};

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
  Scratch(std::int64_t longest, const Shape& shape, const Needs& needs)
      : matrix_elements_(padded_columns(longest) * shape.padded_head_width()),
        strip_elements_(kStripQueries * padded_columns(longest)),
        panel_elements_(kernels::packed_elements(longest, shape.head_width)),
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

Shape shape_of(const at::Tensor& qkv, std::int64_t num_heads) {
  const std::int64_t width = qkv.size(1) / 3;
  if (num_heads <= 0 || width % num_heads != 0 || qkv.size(1) != 3 * width) {
    throw std::invalid_argument("attention: a row of " + std::to_string(qkv.size(1)) +
                                " is not query, key and value of " + std::to_string(num_heads) + " heads");
  }
  const std::int64_t head_width = width / num_heads;
  return {qkv.size(0), width, num_heads, head_width, 1.0F / std::sqrt(static_cast<float>(head_width))};
}

/// work(task, scratch) for every input and head, in parallel.
template <typename Work>
void for_each_task(const PackedInput& input, const Shape& shape, const Needs& needs, const Work& work) {
  const std::int64_t longest = longest_input(input);
  at::parallel_for(0, input.num_inputs() * shape.num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(longest, shape, needs);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / shape.num_heads;
      const std::int64_t first = input.cu_seqlens[s], length = input.cu_seqlens[s + 1] - first;
      if (length == 0) continue;
      work(Task{first, length, i % shape.num_heads, padded_columns(length), input.philox_rows[s]}, scratch);
    }
  });
}

/// The columns of `part` (0 query, 1 key, 2 value; 0 of an output) of one task.
template <typename T>
HeadRows<T> head_rows(T* data, const Shape& shape, const Task& task, std::int64_t part, std::int64_t num_parts) {
  const std::int64_t stride = num_parts * shape.width;
  return {data + task.first * stride + part * shape.width + task.head * shape.head_width, task.length, stride,
          shape.head_width, shape.padded_head_width()};
}

/// Rows first .. first + count - 1.
template <typename T>
HeadRows<T> some(HeadRows<T> rows, std::int64_t first, std::int64_t count) {
  rows.data += first * rows.stride;
  rows.length = count;
  return rows;
}

/// Whether products of a head's rows take them as bf16.
template <typename T>
bool multiplies_rows(const Shape& shape) {
  return std::is_same_v<T, at::BFloat16> && base::has_avx512_bf16() && shape.head_width % 2 == 0;
}

/// The right operand of products rows x columns^T over a head's width: what all queries of a task meet.
template <typename T>
class Columns {
 public:
  /// `panels` for bf16 products, `transposed` [D, P] for others.
  Columns(const HeadRows<const T>& rows, const Task& task, const Shape& shape, std::uint32_t* panels, float* transposed)
      : task_(task), shape_(shape), panels_(panels), transposed_(transposed) {
    if constexpr (std::is_same_v<T, at::BFloat16>) {
      if (multiplies_rows<T>(shape)) {
        kernels::pack_bf16_rows(task.length, shape.head_width, {rows.data, rows.stride}, panels);
        return;
      }
    }
    base::run_kernel<GatherTransposedKernel>(rows, task.stride, transposed);
  }

  /// c [count, P] = scale x the rows first .. times the columns. `gathered` [L, D] holds the same rows in fp32, scaled;
  /// it is not read by bf16 products.
  void multiply(const HeadRows<const T>& rows, const float* gathered, float scale, std::int64_t first,
                std::int64_t count, float* c) const {
    const std::int64_t P = task_.stride, D = shape_.padded_head_width();
    if constexpr (std::is_same_v<T, at::BFloat16>) {
      if (multiplies_rows<T>(shape_)) {
        kernels::multiply_packed_rows(count, task_.length, shape_.head_width, scale,
                                      {rows.data + first * rows.stride, rows.stride}, panels_, c, P);
        for (std::int64_t q = 0; q < count; ++q) std::fill(c + q * P + task_.length, c + (q + 1) * P, 0.0F);
        return;
      }
    }
    multiply_small(Transpose::kNo, Transpose::kNo, count, P, shape_.head_width, 1.0F, gathered + first * D, D,
                   transposed_, P, c, P);
  }

 private:
  const Task& task_;
  const Shape& shape_;
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
void forward_typed(const at::Tensor& qkv, const Shape& shape, const Dropout& dropout, const PackedInput& input,
                   AttentionResult& result) {
  const T* source = qkv.const_data_ptr<T>();
  T* output = result.output.mutable_data_ptr<T>();
  float* log_sum_exp = result.log_sum_exp.defined() ? result.log_sum_exp.mutable_data_ptr<float>() : nullptr;
  const bool rows_as_they_are = multiplies_rows<T>(shape);
  const Needs needs{.matrices = 4, .strips = 2, .panels = rows_as_they_are ? 1 : 0};
  for_each_task(input, shape, needs, [&](const Task& task, Scratch& scratch) {
    float *q = scratch.matrix(0), *v = scratch.matrix(2), *o = scratch.matrix(3), *scores = scratch.strip(0);
    const std::int64_t L = task.length, P = task.stride, D = shape.padded_head_width();
    const HeadRows<const T> queries = head_rows(source, shape, task, 0, 3);
    if (!rows_as_they_are) base::run_kernel<GatherKernel>(queries, shape.scale, q);
    const Columns<T> keys(head_rows(source, shape, task, 1, 3), task, shape, scratch.panels(0), scratch.matrix(1));
    base::run_kernel<GatherKernel>(head_rows(source, shape, task, 2, 3), 1.0F, v);
    float* statistics = log_sum_exp ? log_sum_exp + task.head * shape.tokens + task.first : nullptr;
    for (std::int64_t first = 0; first < L; first += kStripQueries) {
      const std::int64_t count = std::min(kStripQueries, L - first);
      keys.multiply(queries, q, shape.scale, first, count, scores);
      const Strip strip{scores, draw(dropout, task, first, count, scratch.strip(1)), count, L, P};
      float* const of_strip = statistics ? statistics + first : nullptr;
      base::run_kernel<SoftmaxKernel>(strip, of_strip);
      multiply_small(Transpose::kNo, Transpose::kNo, count, D, L, 1.0F, scores, P, v, D, o + first * D, D);
    }
    base::run_kernel<ScatterKernel>(static_cast<const float*>(o), 1.0F, head_rows(output, shape, task, 0, 1));
  });
}

template <typename T>
void backward_typed(const at::Tensor& dy, const at::Tensor& qkv, const at::Tensor& log_sum_exp, const Shape& shape,
                    const Dropout& dropout, const PackedInput& input, at::Tensor& gradient) {
  const T *source = qkv.const_data_ptr<T>(), *output_gradient = dy.const_data_ptr<T>();
  const float* all_statistics = log_sum_exp.const_data_ptr<float>();
  T* target = gradient.mutable_data_ptr<T>();
  const Needs needs{.matrices = 8, .strips = 3, .panels = multiplies_rows<T>(shape) ? 2 : 0};
  for_each_task(input, shape, needs, [&](const Task& task, Scratch& scratch) {
    float *q = scratch.matrix(0), *k = scratch.matrix(1), *go = scratch.matrix(4), *gq = scratch.matrix(5),
          *gk = scratch.matrix(6), *gv = scratch.matrix(7);
    float *scores = scratch.strip(0), *weights = scratch.strip(1), *gs = scratch.strip(2);
    const std::int64_t L = task.length, P = task.stride, D = shape.padded_head_width();
    const HeadRows<const T> queries = head_rows(source, shape, task, 0, 3),
                            output_rows = head_rows(output_gradient, shape, task, 0, 1);
    base::run_kernel<GatherKernel>(queries, shape.scale, q);
    base::run_kernel<GatherKernel>(head_rows(source, shape, task, 1, 3), 1.0F, k);
    base::run_kernel<GatherKernel>(output_rows, 1.0F, go);
    const Columns<T> keys(head_rows(source, shape, task, 1, 3), task, shape, scratch.panels(0), scratch.matrix(2));
    const Columns<T> values(head_rows(source, shape, task, 2, 3), task, shape, scratch.panels(1), scratch.matrix(3));
    const float* const statistics = all_statistics + task.head * shape.tokens + task.first;
    for (std::int64_t first = 0; first < L; first += kStripQueries) {
      const std::int64_t count = std::min(kStripQueries, L - first);
      const auto multiply_or_add = first == 0 ? multiply_small : multiply_add_small;
      const float *q_strip = q + first * D, *go_strip = go + first * D;
      keys.multiply(queries, q, shape.scale, first, count, scores);
      values.multiply(output_rows, go, 1.0F, first, count, gs);
      const Strip strip{scores, draw(dropout, task, first, count, weights), count, L, P};
      base::run_kernel<SoftmaxGradientKernel>(strip, statistics + first, gs, weights);
      multiply_or_add(Transpose::kYes, Transpose::kNo, L, D, count, 1.0F, weights, P, go_strip, D, gv, D);
      multiply_small(Transpose::kNo, Transpose::kNo, count, D, L, 1.0F, gs, P, k, D, gq + first * D, D);
      multiply_or_add(Transpose::kYes, Transpose::kNo, L, D, count, 1.0F, gs, P, q_strip, D, gk, D);
    }
    // q was scaled when it was gathered, so gk is complete.
    base::run_kernel<ScatterKernel>(static_cast<const float*>(gq), shape.scale, head_rows(target, shape, task, 0, 3));
    base::run_kernel<ScatterKernel>(static_cast<const float*>(gk), 1.0F, head_rows(target, shape, task, 1, 3));
    base::run_kernel<ScatterKernel>(static_cast<const float*>(gv), 1.0F, head_rows(target, shape, task, 2, 3));
  });
}

AttentionProblem problem_of(const at::Tensor& qkv, const Shape& shape, const Dropout& dropout,
                                  const PackedInput& input) {
  return {.query = qkv.narrow(1, 0, shape.width),
          .key_value = qkv.narrow(1, shape.width, 2 * shape.width),
          .queries = Rows::kAll,
          .position_query = {},
          .position_key = {},
          .num_heads = shape.num_heads,
          .scale = shape.scale,
          .dropout = &dropout,
          .slots = nullptr,
          .input = &input};
}

}  // namespace

AttentionResult attention_forward(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& site,
                                  const PackedInput& input, const ForwardContext& context) {
  const Shape shape = shape_of(qkv, num_heads);
  const Dropout dropout(base::DrawPurpose::kAttentionDropout, site, context);
  if (back_end_of(qkv) == BackEnd::kAten) return aten::attention_forward(problem_of(qkv, shape, dropout, input));
  AttentionResult result{at::empty({shape.tokens, shape.width}, qkv.options()), {}};
  if (context.mode == Mode::kTraining) {
    result.log_sum_exp = at::empty({num_heads, shape.tokens}, qkv.options().dtype(at::kFloat));
  }
  if (qkv.scalar_type() == at::kBFloat16) {
    forward_typed<at::BFloat16>(qkv, shape, dropout, input, result);
  } else {
    forward_typed<float>(qkv, shape, dropout, input, result);
  }
  return result;
}

at::Tensor attention_backward(const at::Tensor& output_gradient, const at::Tensor& qkv, const at::Tensor& log_sum_exp,
                              std::int64_t num_heads, const DropoutSite& site, const PackedInput& input,
                              const ForwardContext& context) {
  const Shape shape = shape_of(qkv, num_heads);
  const Dropout dropout(base::DrawPurpose::kAttentionDropout, site, context);
  const at::Tensor dy = output_gradient.contiguous();
  if (back_end_of(qkv) == BackEnd::kAten) {
    return aten::attention_backward(problem_of(qkv, shape, dropout, input), dy, log_sum_exp).query_key_value();
  }
  at::Tensor gradient = at::empty_like(qkv);
  if (qkv.scalar_type() == at::kBFloat16) {
    backward_typed<at::BFloat16>(dy, qkv, log_sum_exp, shape, dropout, input, gradient);
  } else {
    backward_typed<float>(dy, qkv, log_sum_exp, shape, dropout, input, gradient);
  }
  return gradient;
}

at::Tensor attention(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& site, const PackedInput& input,
                     const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor saved_qkv = qkv.detach().contiguous();
  AttentionResult result = attention_forward(saved_qkv, num_heads, site, input, context);
  if (context.mode != Mode::kTraining) return result.output;
  const auto backward = [=, log_sum_exp = result.log_sum_exp](const at::Tensor& dy) -> std::vector<at::Tensor> {
    return {attention_backward(dy, saved_qkv, log_sum_exp, num_heads, site, input, context)};
  };
  return attach_backward(result.output, {qkv}, "AttentionBackward", backward);
}

}  // namespace meshfold::models::ops
