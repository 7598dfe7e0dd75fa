// Shapes: L tokens of one input, D width of one head, P row stride of the scores (L rounded up to 8 draws of dropout).
#include "models/ops/attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "models/ops/autograd.hpp"
#include "models/ops/dropout.hpp"
#include "models/ops/head_rows.hpp"
#include "models/ops/instruction_set.hpp"
#include "models/ops/matmul.hpp"
#include "models/ops/relative_slots.hpp"
#include "models/ops/softmax_rows.hpp"

namespace meshfold::models::ops {
namespace {

struct Shape {
  std::int64_t tokens, width, num_heads, head_width;
  float scale;
};

/// Scratch of one thread, for the longest input.
class Scratch {
 public:
  Scratch(std::int64_t longest, std::int64_t head_width, int num_rows, int num_squares)
      : row_elements_(longest * head_width),
        square_elements_(longest * Dropout::padded_width(longest)),
        num_rows_(num_rows),
        data_(num_rows * row_elements_ + num_squares * square_elements_) {}

  float* rows(int i) { return data_.data() + i * row_elements_; }                                   ///< [L, D]
  float* square(int i) { return data_.data() + num_rows_ * row_elements_ + i * square_elements_; }  ///< [L, P]

 private:
  std::int64_t row_elements_, square_elements_;
  int num_rows_;
  std::vector<float> data_;
};

/// One input and head.
struct Task {
  std::int64_t first, length, head, stride;
  std::uint32_t philox_row;
};

template <typename T>
void gather(const T* source, std::int64_t source_stride, const Task& task, std::int64_t head_width, float* out) {
  gather_rows(source + task.first * source_stride + task.head * head_width, source_stride, task.length, head_width,
              out);
}

template <typename T>
void scatter(const float* in, const Task& task, std::int64_t head_width, T* target, std::int64_t target_stride) {
  scatter_rows(in, task.length, head_width, target + task.first * target_stride + task.head * head_width,
               target_stride);
}

struct SoftmaxKernel {
  /// scores [L, P] become probabilities; log_sum_exp [L]. Columns from L to P are set to zero.
  [[gnu::always_inline]] static void run(float* const& scores, std::int64_t length, std::int64_t stride,
                                         float* const& log_sum_exp) {
    for (std::int64_t q = 0; q < length; ++q) log_sum_exp[q] = softmax_row(scores + q * stride, length, stride);
  }
};

struct ProbabilityKernel {
  [[gnu::always_inline]] static void run(float* const& scores, std::int64_t length, std::int64_t stride,
                                         const float* const& log_sum_exp) {
    for (std::int64_t q = 0; q < length; ++q) probability_row(scores + q * stride, length, stride, log_sum_exp[q]);
  }
};

struct MultiplyKernel {
  [[gnu::always_inline]] static void run(const float* const& a, const float* const& b, std::int64_t count,
                                         float* const& out) {
    for (std::int64_t i = 0; i < count; ++i) out[i] = a[i] * b[i];
  }
};

struct SoftmaxGradientKernel {
  [[gnu::always_inline]] static void run(const float* const& probabilities, std::int64_t length, std::int64_t stride,
                                         float* const& gradient) {
    for (std::int64_t q = 0; q < length; ++q)
      softmax_gradient_row(probabilities + q * stride, stride, gradient + q * stride);
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
void for_each_task(const PackedInput& input, const Shape& shape, int num_rows, int num_squares, const Work& work) {
  const std::int64_t longest = longest_input(input);
  at::parallel_for(0, input.num_inputs() * shape.num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    Scratch scratch(longest, shape.head_width, num_rows, num_squares);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t s = i / shape.num_heads;
      const std::int64_t first = input.cu_seqlens[s], length = input.cu_seqlens[s + 1] - first;
      if (length == 0) continue;
      work(Task{first, length, i % shape.num_heads, Dropout::padded_width(length), input.philox_rows[s]}, scratch);
    }
  });
}

void draw_mask(const Dropout& dropout, const Task& task, float* mask) {
  dropout.fill(task.philox_row, static_cast<std::uint32_t>(dropout.first_head() + task.head) << 20, task.length,
               task.length, mask);
}

template <typename T>
void forward_typed(const at::Tensor& qkv, const Shape& shape, const Dropout& dropout, const PackedInput& input,
                   AttentionResult& result) {
  const T* source = qkv.const_data_ptr<T>();
  T* output = result.output.mutable_data_ptr<T>();
  float* log_sum_exp = result.log_sum_exp.mutable_data_ptr<float>();
  for_each_task(input, shape, 4, 2, [&](const Task& task, Scratch& scratch) {
    float *q = scratch.rows(0), *k = scratch.rows(1), *v = scratch.rows(2), *o = scratch.rows(3);
    float *p = scratch.square(0), *mask = scratch.square(1);
    const std::int64_t L = task.length, P = task.stride, D = shape.head_width;
    gather(source, 3 * shape.width, task, D, q);
    gather(source + shape.width, 3 * shape.width, task, D, k);
    gather(source + 2 * shape.width, 3 * shape.width, task, D, v);
    multiply_small(Transpose::kNo, Transpose::kYes, L, L, D, shape.scale, q, D, k, D, p, P);
    float* const statistics = log_sum_exp + task.head * shape.tokens + task.first;
    run_kernel<SoftmaxKernel>(p, L, P, statistics);
    if (dropout.active()) {
      draw_mask(dropout, task, mask);
      run_kernel<MultiplyKernel>(p, mask, L * P, p);
    }
    multiply_small(Transpose::kNo, Transpose::kNo, L, D, L, 1.0F, p, P, v, D, o, D);
    scatter(o, task, D, output, shape.width);
  });
}

template <typename T>
void backward_typed(const at::Tensor& dy, const at::Tensor& qkv, const at::Tensor& log_sum_exp, const Shape& shape,
                    const Dropout& dropout, const PackedInput& input, at::Tensor& gradient) {
  const T *source = qkv.const_data_ptr<T>(), *output_gradient = dy.const_data_ptr<T>();
  const float* all_statistics = log_sum_exp.const_data_ptr<float>();
  T* target = gradient.mutable_data_ptr<T>();
  for_each_task(input, shape, 5, 4, [&](const Task& task, Scratch& scratch) {
    float *q = scratch.rows(0), *k = scratch.rows(1), *v = scratch.rows(2), *go = scratch.rows(3),
          *result = scratch.rows(4);
    float *p = scratch.square(0), *mask = scratch.square(1), *dropped = scratch.square(2), *gp = scratch.square(3);
    const std::int64_t L = task.length, P = task.stride, D = shape.head_width, W = shape.width;
    gather(source, 3 * W, task, D, q);
    gather(source + W, 3 * W, task, D, k);
    gather(source + 2 * W, 3 * W, task, D, v);
    gather(output_gradient, W, task, D, go);
    multiply_small(Transpose::kNo, Transpose::kYes, L, L, D, shape.scale, q, D, k, D, p, P);
    const float* const statistics = all_statistics + task.head * shape.tokens + task.first;
    run_kernel<ProbabilityKernel>(p, L, P, statistics);
    std::fill(gp, gp + L * P, 0.0F);
    multiply_small(Transpose::kNo, Transpose::kYes, L, L, D, 1.0F, go, D, v, D, gp, P);
    const float* weights = p;
    if (dropout.active()) {
      draw_mask(dropout, task, mask);
      run_kernel<MultiplyKernel>(p, mask, L * P, dropped);
      run_kernel<MultiplyKernel>(gp, mask, L * P, gp);
      weights = dropped;
    }
    multiply_small(Transpose::kYes, Transpose::kNo, L, D, L, 1.0F, weights, P, go, D, result, D);
    scatter(result, task, D, target + 2 * W, 3 * W);
    run_kernel<SoftmaxGradientKernel>(p, L, P, gp);
    multiply_small(Transpose::kNo, Transpose::kNo, L, D, L, shape.scale, gp, P, k, D, result, D);
    scatter(result, task, D, target, 3 * W);
    multiply_small(Transpose::kYes, Transpose::kNo, L, D, L, shape.scale, gp, P, q, D, result, D);
    scatter(result, task, D, target + W, 3 * W);
  });
}

}  // namespace

AttentionResult attention_forward(const at::Tensor& qkv, std::int64_t num_heads, const DropoutSite& site,
                                  const PackedInput& input, const ForwardContext& context) {
  const Shape shape = shape_of(qkv, num_heads);
  const Dropout dropout(dist::DrawPurpose::kAttentionDropout, site, context);
  AttentionResult result{at::empty({shape.tokens, shape.width}, qkv.options()),
                         at::empty({num_heads, shape.tokens}, qkv.options().dtype(at::kFloat))};
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
  const Dropout dropout(dist::DrawPurpose::kAttentionDropout, site, context);
  const at::Tensor dy = output_gradient.contiguous();
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
