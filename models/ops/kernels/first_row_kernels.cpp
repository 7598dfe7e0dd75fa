#include "models/ops/kernels/first_row_kernels.hpp"

#include <ATen/core/Tensor.h>

#include <algorithm>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/softmax_rows.hpp"

namespace meshfold::models::ops {
namespace {

std::int64_t padded_to_vectors(std::int64_t columns) { return (columns + kLanes - 1) / kLanes * kLanes; }

template <typename T>
[[gnu::always_inline]] inline void load(const T* source, std::int64_t width, float* out) {
  for (std::int64_t i = 0; i < width; ++i) out[i] = static_cast<float>(source[i]);
}

template <typename T>
[[gnu::always_inline]] inline void store(const float* in, float factor, std::int64_t width, T* target) {
  for (std::int64_t i = 0; i < width; ++i) target[i] = static_cast<T>(in[i] * factor);
}

struct ScoresKernel {
  /// scratch.scores: all three terms, scaled. scratch.query receives the query.
  template <typename T>
  [[gnu::always_inline]] static void run(const FirstRowProblem<T>& p, FirstRowScratch* const& scratch) {
    float *query = scratch->query.data(), *row = scratch->row.data(), *position = scratch->position.data();
    const auto padded = static_cast<std::int64_t>(scratch->query.size());
    load(p.query, p.width, query);
    for (std::int64_t k = 0; k < p.length; ++k) {
      load(p.key[k], p.width, row);
      float score = 0.0F;
      if (p.position_query.data) {
        load(p.position_query[p.slots[k]], p.width, position);
        for (std::int64_t i = 0; i < p.width; ++i) position[i] += query[i];
        score = sum_of_products(row, position, padded);
      } else {
        score = sum_of_products(row, query, padded);
      }
      if (p.position_key.data) {
        load(p.position_key[p.slots[k]], p.width, position);
        score += sum_of_products(position, query, padded);
      }
      scratch->scores[static_cast<std::size_t>(k)] = score * p.scale;
    }
  }
};

struct ForwardKernel {
  template <typename T>
  [[gnu::always_inline]] static void run(const FirstRowProblem<T>& p, FirstRowScratch* const& scratch, T* const& output,
                                         float* const& log_sum_exp) {
    ScoresKernel::run(p, scratch);
    float *weights = scratch->scores.data(), *row = scratch->row.data(), *sum = scratch->sum.data();
    const std::int64_t stride = Dropout::padded_width(p.length);
    softmax_row(weights, p.length, stride, log_sum_exp);
    if (p.dropout->active()) {
      const float* multipliers = scratch->multipliers.data();
      for (std::int64_t k = 0; k < stride; ++k) weights[k] *= multipliers[k];
    }
    for (std::int64_t i = 0; i < p.width; ++i) sum[i] = 0.0F;
    for (std::int64_t k = 0; k < p.length; ++k) {
      load(p.value[k], p.width, row);
      for (std::int64_t i = 0; i < p.width; ++i) sum[i] += weights[k] * row[i];
    }
    store(sum, 1.0F, p.width, output);
  }
};

/// The gradient of the scores, times their scale, in scratch.gradient; on the way the value's gradient.
struct ScoreGradientKernel {
  template <typename T>
  [[gnu::always_inline]] static void run(const FirstRowProblem<T>& p, FirstRowScratch* const& scratch,
                                         const T* const& output_gradient, float log_sum_exp,
                                         const StridedRows<T>& value_gradient) {
    ScoresKernel::run(p, scratch);
    float *probabilities = scratch->scores.data(), *gradient = scratch->gradient.data(), *row = scratch->row.data(),
          *dy = scratch->output_gradient.data();
    const float* multipliers = p.dropout->active() ? scratch->multipliers.data() : nullptr;
    const auto padded = static_cast<std::int64_t>(scratch->query.size()), stride = Dropout::padded_width(p.length);
    probability_row(probabilities, p.length, stride, log_sum_exp);
    load(output_gradient, p.width, dy);
    for (std::int64_t k = p.length; k < stride; ++k) gradient[k] = 0.0F;  // the padding takes part in sums
    for (std::int64_t k = 0; k < p.length; ++k) {
      const float multiplier = multipliers ? multipliers[k] : 1.0F;
      load(p.value[k], p.width, row);
      gradient[k] = sum_of_products(dy, row, padded) * multiplier;
      store(dy, probabilities[k] * multiplier, p.width, value_gradient[k]);
    }
    softmax_gradient_row(probabilities, stride, gradient);
    for (std::int64_t k = 0; k < p.length; ++k) gradient[k] *= p.scale;
  }
};

/// Hands the gradient of the scores on to what they were made of.
struct SpreadKernel {
  template <typename T>
  [[gnu::always_inline]] static void run(const FirstRowProblem<T>& p, FirstRowScratch* const& scratch,
                                         const FirstRowGradients<T>& gradients) {
    const float *query = scratch->query.data(), *gradient = scratch->gradient.data();
    float *row = scratch->row.data(), *position = scratch->position.data(), *sum = scratch->sum.data();
    for (std::int64_t i = 0; i < p.width; ++i) sum[i] = 0.0F;
    for (std::int64_t k = 0; k < p.length; ++k) {
      load(p.key[k], p.width, row);
      if (p.position_query.data) {
        load(p.position_query[p.slots[k]], p.width, position);
        for (std::int64_t i = 0; i < p.width; ++i) position[i] += query[i];
        store(position, gradient[k], p.width, gradients.key[k]);
        float* target = gradients.position_query[p.slots[k]];
        for (std::int64_t i = 0; i < p.width; ++i) target[i] += gradient[k] * row[i];
      } else {
        store(query, gradient[k], p.width, gradients.key[k]);
      }
      if (p.position_key.data) {
        load(p.position_key[p.slots[k]], p.width, position);
        for (std::int64_t i = 0; i < p.width; ++i) row[i] += position[i];
        float* target = gradients.position_key[p.slots[k]];
        for (std::int64_t i = 0; i < p.width; ++i) target[i] += gradient[k] * query[i];
      }
      for (std::int64_t i = 0; i < p.width; ++i) sum[i] += gradient[k] * row[i];
    }
    store(sum, 1.0F, p.width, gradients.query);
  }
};

template <typename T>
void draw_multipliers(const FirstRowProblem<T>& p, FirstRowScratch& scratch) {
  if (!p.dropout->active()) return;
  const auto place = static_cast<std::uint32_t>((p.dropout->first_head() + p.head) << 20);  // query 0
  p.dropout->fill(p.philox_row, place, 1, p.length, scratch.multipliers.data());
}

}  // namespace

FirstRowScratch::FirstRowScratch(std::int64_t longest, std::int64_t width)
    : scores(Dropout::padded_width(longest)),
      gradient(scores.size()),
      multipliers(scores.size()),
      query(padded_to_vectors(width)),
      row(query.size()),
      position(query.size()),
      output_gradient(query.size()),
      sum(query.size()) {}

template <typename T>
void first_row_forward(const FirstRowProblem<T>& problem, FirstRowScratch& scratch, T* output, float* log_sum_exp) {
  draw_multipliers(problem, scratch);
  base::run_kernel<ForwardKernel>(problem, &scratch, output, log_sum_exp);
}

template <typename T>
void first_row_backward(const FirstRowProblem<T>& problem, FirstRowScratch& scratch, const T* output_gradient,
                        float log_sum_exp, const FirstRowGradients<T>& gradients) {
  draw_multipliers(problem, scratch);
  base::run_kernel<ScoreGradientKernel>(problem, &scratch, output_gradient, log_sum_exp, gradients.value);
  base::run_kernel<SpreadKernel>(problem, &scratch, gradients);
}

template void first_row_forward(const FirstRowProblem<float>&, FirstRowScratch&, float*, float*);
template void first_row_forward(const FirstRowProblem<at::BFloat16>&, FirstRowScratch&, at::BFloat16*, float*);
template void first_row_backward(const FirstRowProblem<float>&, FirstRowScratch&, const float*, float,
                                 const FirstRowGradients<float>&);
template void first_row_backward(const FirstRowProblem<at::BFloat16>&, FirstRowScratch&, const at::BFloat16*, float,
                                 const FirstRowGradients<at::BFloat16>&);

}  // namespace meshfold::models::ops
