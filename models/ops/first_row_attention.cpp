// Shapes: S inputs, T tokens of the pack, H columns, D columns of a head, A slots that first queries touch.
#include "models/ops/first_row_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>

#include "models/context/back_end.hpp"
#include "models/ops/aten/attention.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/first_row_kernels.hpp"

namespace meshfold::models::ops {
namespace {

/// What is the same in forward and backward.
struct Call {
  at::Tensor query, key_value, positions;  ///< without graph, contiguous; positions undefined where there are none
  DisentangledConfig config;
  DropoutSite site;
  PackedInput input;
  ForwardContext context;

  std::int64_t width() const { return query.size(1); }
  std::int64_t head_width() const { return width() / config.num_heads; }
  /// Where position_key starts in a row of positions.
  std::int64_t key_offset() const { return config.position_to_content ? width() : 0; }
  float scale() const {
    return static_cast<float>(1.0 / std::sqrt(static_cast<double>(head_width() * config.num_terms)));
  }
  Dropout dropout() const { return {base::DrawPurpose::kAttentionDropout, site, context}; }
  std::optional<RelativeSlots> slots() const {
    if (!positions.defined()) return {};
    return RelativeSlots(config.buckets, longest_input(input));
  }
};

struct InputGradients {
  at::Tensor query, key_value;  ///< in their types
  at::Tensor positions;         ///< the same; undefined without positions
};

void check(const Call& call) {
  const std::int64_t width = call.width(), heads = call.config.num_heads;
  for (std::int64_t s = 0; s < call.input.num_inputs(); ++s) {
    if (call.input.cu_seqlens[s + 1] > call.input.cu_seqlens[s]) continue;
    throw std::invalid_argument("first row attention: an input has no token");
  }
  if (heads <= 0 || width % heads != 0 || call.query.size(0) != call.input.num_inputs() ||
      call.key_value.sizes() != at::IntArrayRef{call.input.num_tokens(), 2 * width} ||
      call.key_value.scalar_type() != call.query.scalar_type()) {
    throw std::invalid_argument("first row attention: queries of " + std::to_string(call.query.size(0)) + " x " +
                                std::to_string(width) + " do not fit keys and values, " + std::to_string(heads) +
                                " heads or " + std::to_string(call.input.num_inputs()) + " inputs");
  }
  if (!call.config.has_positions()) return;
  const std::int64_t sides = call.config.content_to_position && call.config.position_to_content ? 2 : 1;
  const std::int64_t active = first_row_slots(call.config.buckets, longest_input(call.input));
  if (!call.positions.defined() || call.positions.sizes() != at::IntArrayRef{active, sides * width} ||
      call.positions.scalar_type() != call.query.scalar_type()) {
    throw std::invalid_argument("first row attention: positions must be [" + std::to_string(active) + ", " +
                                std::to_string(sides * width) + "] in the type of the queries");
  }
}

/// work(problem, number of the input, scratch) for every head and each of its inputs in order; parallel over heads.
template <typename T, typename Work>
void for_each_problem(const Call& call, const Work& work) {
  const PackedInput& input = call.input;
  const std::int64_t width = call.width(), head_width = call.head_width(), longest = longest_input(input);
  const Dropout dropout = call.dropout();
  const std::optional<RelativeSlots> slots = call.slots();
  const T *query = call.query.const_data_ptr<T>(), *key_value = call.key_value.const_data_ptr<T>(),
          *positions = slots ? call.positions.const_data_ptr<T>() : nullptr;
  at::parallel_for(0, call.config.num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
    FirstRowScratch scratch(longest, head_width);
    for (std::int64_t head = begin; head < end; ++head) {
      const std::int64_t column = head * head_width;
      FirstRowProblem<T> problem;
      problem.width = head_width;
      problem.head = head;
      problem.scale = call.scale();
      problem.dropout = &dropout;
      problem.slots = slots && longest > 0 ? slots->of_query(0) : nullptr;
      if (call.config.position_to_content) problem.position_query = {positions + column, call.positions.size(1)};
      if (call.config.content_to_position) {
        problem.position_key = {positions + call.key_offset() + column, call.positions.size(1)};
      }
      for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
        const std::int64_t first = input.cu_seqlens[s];
        problem.length = input.cu_seqlens[s + 1] - first;
        problem.philox_row = input.philox_rows[s];
        problem.query = query + s * width + column;
        problem.key = {key_value + first * 2 * width + column, 2 * width};
        problem.value = {problem.key.data + width, 2 * width};
        work(problem, s, scratch);
      }
    }
  });
}

template <typename T>
AttentionResult forward_typed(const Call& call) {
  const std::int64_t width = call.width(), num_inputs = call.input.num_inputs();
  AttentionResult result{at::empty_like(call.query), {}};
  T* output = result.output.mutable_data_ptr<T>();
  float* log_sum_exp = nullptr;
  if (call.context.mode == Mode::kTraining) {
    result.log_sum_exp = at::empty({call.config.num_heads, num_inputs}, call.query.options().dtype(at::kFloat));
    log_sum_exp = result.log_sum_exp.mutable_data_ptr<float>();
  }
  for_each_problem<T>(call, [&](const FirstRowProblem<T>& problem, std::int64_t s, FirstRowScratch& scratch) {
    first_row_forward(problem, scratch, output + s * width + problem.head * problem.width,
                      log_sum_exp ? log_sum_exp + problem.head * num_inputs + s : nullptr);
  });
  return result;
}

template <typename T>
InputGradients backward_typed(const Call& call, const at::Tensor& dy, const at::Tensor& log_sum_exp) {
  const std::int64_t width = call.width(), num_inputs = call.input.num_inputs();
  InputGradients result{at::empty_like(call.query), at::empty_like(call.key_value), {}};
  at::Tensor position_sums;
  if (call.positions.defined()) position_sums = at::zeros_like(call.positions, at::kFloat);
  const T* output_gradient = dy.const_data_ptr<T>();
  const float* statistics = log_sum_exp.const_data_ptr<float>();
  T *query = result.query.mutable_data_ptr<T>(), *key_value = result.key_value.mutable_data_ptr<T>();
  float* positions = position_sums.defined() ? position_sums.mutable_data_ptr<float>() : nullptr;
  for_each_problem<T>(call, [&](const FirstRowProblem<T>& problem, std::int64_t s, FirstRowScratch& scratch) {
    const std::int64_t column = problem.head * problem.width, place = s * width + column;
    FirstRowGradients<T> gradients;
    gradients.query = query + place;
    gradients.key = {key_value + call.input.cu_seqlens[s] * 2 * width + column, 2 * width};
    gradients.value = {gradients.key.data + width, 2 * width};
    if (problem.position_query.data) gradients.position_query = {positions + column, problem.position_query.stride};
    if (problem.position_key.data) {
      gradients.position_key = {positions + call.key_offset() + column, problem.position_key.stride};
    }
    first_row_backward(problem, scratch, output_gradient + place, statistics[problem.head * num_inputs + s], gradients);
  });
  if (position_sums.defined()) result.positions = position_sums.to(call.positions.scalar_type());
  return result;
}

/// use(problem) in the terms of the ATen back end.
template <typename Use>
auto with_problem(const Call& call, const Use& use) {
  const Dropout dropout = call.dropout();
  const std::optional<RelativeSlots> slots = call.slots();
  AttentionProblem problem;
  problem.query = call.query;
  problem.key_value = call.key_value;
  problem.queries = Rows::kFirst;
  problem.num_heads = call.config.num_heads;
  problem.scale = call.scale();
  problem.dropout = &dropout;
  problem.input = &call.input;
  if (slots) {
    problem.slots = &*slots;
    const std::int64_t width = call.width();
    if (call.config.position_to_content) problem.position_query = call.positions.narrow(1, 0, width);
    if (call.config.content_to_position) problem.position_key = call.positions.narrow(1, call.key_offset(), width);
  }
  return use(problem);
}

InputGradients aten_backward(const Call& call, const at::Tensor& dy, const at::Tensor& log_sum_exp) {
  return with_problem(call, [&](const AttentionProblem& problem) {
    const AttentionGradients gradients = aten::attention_backward(problem, dy, log_sum_exp);
    const at::Tensor positions = gradients.positions();
    return InputGradients{gradients.query, gradients.key_value,
                          positions.defined() ? positions.to(call.query.scalar_type()) : positions};
  });
}

AttentionResult forward(const Call& call) {
  if (back_end_of(call.query) == BackEnd::kAten) return with_problem(call, aten::attention_forward);
  return call.query.scalar_type() == at::kBFloat16 ? forward_typed<at::BFloat16>(call) : forward_typed<float>(call);
}

InputGradients backward(const Call& call, const at::Tensor& dy, const at::Tensor& log_sum_exp) {
  if (back_end_of(call.query) == BackEnd::kAten) return aten_backward(call, dy, log_sum_exp);
  return call.query.scalar_type() == at::kBFloat16 ? backward_typed<at::BFloat16>(call, dy, log_sum_exp)
                                                   : backward_typed<float>(call, dy, log_sum_exp);
}

}  // namespace

std::int64_t first_row_slots(const RelativeBuckets& buckets, std::int64_t longest) {
  if (longest == 0) return 0;
  return RelativeSlots(buckets, longest).slot(0) + 1;
}

at::Tensor first_row_attention(const at::Tensor& query, const at::Tensor& key_value, const at::Tensor& positions,
                               const DisentangledConfig& config, const DropoutSite& site, const PackedInput& input,
                               const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const bool has_positions = config.has_positions() && positions.defined();
  const Call call{query.detach().contiguous(),
                  key_value.detach().contiguous(),
                  has_positions ? positions.detach().contiguous() : at::Tensor(),
                  config,
                  site,
                  input,
                  context};
  check(call);
  const AttentionResult result = forward(call);
  if (context.mode != Mode::kTraining) return result.output;
  const auto go_back = [call, log_sum_exp = result.log_sum_exp](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const InputGradients gradients = backward(call, dy.contiguous(), log_sum_exp);
    if (!gradients.positions.defined()) return {gradients.query, gradients.key_value};
    return {gradients.query, gradients.key_value, gradients.positions};
  };
  std::vector<at::Tensor> inputs = {query, key_value};
  if (has_positions) inputs.push_back(positions);
  return attach_backward(result.output, inputs, "FirstRowAttentionBackward", go_back);
}

}  // namespace meshfold::models::ops
