// The first query of one input and one head against all keys of the input, in fp32. L keys, D columns of the head, A
// slots that first queries touch, P: L rounded up to eight draws of dropout.
#include "models/ops/kernels/first_row_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <vector>

#include "base/instruction_set.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/kernels/attention_rows.hpp"
#include "models/ops/kernels/softmax_rows.hpp"

namespace meshfold::models::ops {
namespace {

/// One input and head. T: float or BFloat16.
template <typename T>
struct FirstRowProblem {
  std::int64_t length = 0, width = 0, head = 0;
  std::uint32_t philox_row = 0;
  float scale = 1.0F;                                 ///< on the sum of all three terms
  const Dropout* dropout = nullptr;                   ///< of the probabilities
  const T* query = nullptr;                           ///< [D]
  StridedRows<const T> key, value;                    ///< [L, D]
  StridedRows<const T> position_query, position_key;  ///< [A, D]; null: the scores lack that term
  const std::int32_t* slots = nullptr;                ///< [L]: of the query and each key; null without positions
};

/// Where backward puts its results.
template <typename T>
struct FirstRowGradients {
  T* query = nullptr;                               ///< [D]
  StridedRows<T> key, value;                        ///< [L, D]
  StridedRows<float> position_query, position_key;  ///< [A, D], added to; null where the problem has none
};

std::int64_t padded_to_vectors(std::int64_t columns) { return (columns + kLanes - 1) / kLanes * kLanes; }

/// Scratch of one thread.
struct FirstRowScratch {
  FirstRowScratch(std::int64_t longest, std::int64_t width)
      : scores(Dropout::padded_width(longest)),
        gradient(scores.size()),
        multipliers(scores.size()),
        query(padded_to_vectors(width)),
        row(query.size()),
        position(query.size()),
        output_gradient(query.size()),
        sum(query.size()) {}

  std::vector<float> scores, gradient, multipliers;               ///< [P]
  std::vector<float> query, row, position, output_gradient, sum;  ///< [D padded to whole vectors], the padding zero
};

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

/// output [D]; log_sum_exp null: not wanted.
template <typename T>
void first_row_forward(const FirstRowProblem<T>& problem, FirstRowScratch& scratch, T* output, float* log_sum_exp) {
  draw_multipliers(problem, scratch);
  base::run_kernel<ForwardKernel>(problem, &scratch, output, log_sum_exp);
}

/// `output_gradient` [D]; `log_sum_exp` as forward left it. The dropout is drawn again.
template <typename T>
void first_row_backward(const FirstRowProblem<T>& problem, FirstRowScratch& scratch, const T* output_gradient,
                        float log_sum_exp, const FirstRowGradients<T>& gradients) {
  draw_multipliers(problem, scratch);
  base::run_kernel<ScoreGradientKernel>(problem, &scratch, output_gradient, log_sum_exp, gradients.value);
  base::run_kernel<SpreadKernel>(problem, &scratch, gradients);
}

/// work(problem, number of the input, scratch) for every head and each of its inputs in order; parallel over heads.
template <typename T, typename Work>
void for_each_first_row(const AttentionProblem& all, const Work& work) {
  const PackedInput& input = all.input;
  const std::int64_t width = all.config.head_width, longest = longest_input(input);
  const OperandRows<const T, const T> operands(all.operands);
  at::parallel_for(0, all.config.num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    FirstRowScratch scratch(longest, width);
    for (std::int64_t head = begin; head < end; ++head) {
      const OperandRows<const T, const T> own = operands.of_head(head, width);
      FirstRowProblem<T> problem;
      problem.width = width;
      problem.head = head;
      problem.scale = all.scale;
      problem.dropout = &all.dropout;
      problem.slots = all.slots && longest > 0 ? all.slots->of_query(0) : nullptr;
      problem.position_query = own.position_query;
      problem.position_key = own.position_key;
      for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
        const std::int64_t first = input.cu_seqlens[s];
        problem.length = input.cu_seqlens[s + 1] - first;
        problem.philox_row = input.philox_rows[s];
        problem.query = own.query[s];
        problem.key = own.key.from(first);
        problem.value = own.value.from(first);
        work(problem, s, scratch);
      }
    }
  });
}

template <typename T>
void forward_typed(const AttentionProblem& all, AttentionResult& result) {
  const StridedRows<T> output = rows_of<T>(result.output);
  float* log_sum_exp = result.log_sum_exp.defined() ? result.log_sum_exp.mutable_data_ptr<float>() : nullptr;
  const std::int64_t num_inputs = all.input.num_inputs();
  for_each_first_row<T>(all, [&](const FirstRowProblem<T>& problem, std::int64_t s, FirstRowScratch& scratch) {
    first_row_forward(problem, scratch, output[s] + problem.head * problem.width,
                      log_sum_exp ? log_sum_exp + problem.head * num_inputs + s : nullptr);
  });
}

template <typename T>
void backward_typed(const AttentionProblem& all, const at::Tensor& dy, const at::Tensor& log_sum_exp,
                    const AttentionOperands& gradients) {
  const OperandRows<T, float> targets(gradients);
  const StridedRows<const T> output_gradient = rows_of<const T>(dy);
  const float* statistics = log_sum_exp.const_data_ptr<float>();
  const std::int64_t num_inputs = all.input.num_inputs();
  for_each_first_row<T>(all, [&](const FirstRowProblem<T>& problem, std::int64_t s, FirstRowScratch& scratch) {
    const OperandRows<T, float> own = targets.of_head(problem.head, problem.width);
    const std::int64_t first = all.input.cu_seqlens[s];
    first_row_backward(problem, scratch, output_gradient[s] + problem.head * problem.width,
                       statistics[problem.head * num_inputs + s],
                       {.query = own.query[s],
                        .key = own.key.from(first),
                        .value = own.value.from(first),
                        .position_query = own.position_query,
                        .position_key = own.position_key});
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
  for (const at::Tensor& sum : {gradients.position_query, gradients.position_key}) {
    if (sum.defined()) sum.zero_();
  }
  dispatch_operands(problem.operands.query.scalar_type(), "attention",
                    [&]<typename T>() { backward_typed<T>(problem, output_gradient, log_sum_exp, gradients); });
}

}  // namespace

AttentionKernels first_row_attention() { return {forward, backward}; }

}  // namespace meshfold::models::ops
