#include "models/ops/attention.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <memory>
#include <vector>

#include "models/context/back_end.hpp"
#include "models/ops/aten/attention.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/disentangled_attention.hpp"
#include "models/ops/kernels/first_row_attention.hpp"
#include "models/ops/kernels/strip_attention.hpp"

namespace meshfold::models::ops {
namespace {

/// Tensors for a back end to write: positions in fp32, because theirs are sums over the pack.
AttentionInputs empty_gradients(const AttentionInputs& inputs) {
  AttentionInputs gradients;
  for (const at::Tensor& rows : inputs.query_key_value) {
    gradients.query_key_value.push_back(at::empty(rows.sizes(), rows.options()));
  }
  if (inputs.positions.defined()) {
    gradients.positions = at::empty(inputs.positions.sizes(), inputs.positions.options().dtype(at::kFloat));
  }
  return gradients;
}

}  // namespace

AttentionKernels kernels_for(const AttentionProblem& problem) {
  const AttentionConfig& config = problem.config;
  const bool has_host_kernels =
      config.kv_heads() == config.num_heads && config.mask == AttentionMask::kNone && config.soft_cap == 0.0;
  if (back_end_of(problem.operands.query) == BackEnd::kAten || !has_host_kernels) return aten::attention();
  if (config.queries == QueryRows::kFirst) return first_row_attention();
  return config.has_positions() ? disentangled_attention() : strip_attention();
}

at::Tensor attention(const AttentionInputs& inputs, const AttentionConfig& config, const DropoutSite& dropout,
                     const PackedInput& input, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const auto problem =
      std::make_shared<const AttentionProblem>(attention_problem(inputs, config, dropout, input, context));
  const AttentionResult result = kernels_for(*problem).forward(*problem);
  if (context.mode != Mode::kTraining) return result.output;
  const auto backward = [problem, log_sum_exp = result.log_sum_exp](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const AttentionInputs gradients = empty_gradients(problem->inputs);
    kernels_for(*problem).backward(*problem, dy.contiguous(), log_sum_exp, operands_of(gradients, problem->config));
    std::vector<at::Tensor> all = gradients.query_key_value;
    if (gradients.positions.defined()) all.push_back(gradients.positions.to(dy.scalar_type()));
    return all;
  };
  std::vector<at::Tensor> all = inputs.query_key_value;
  if (inputs.positions.defined()) all.push_back(inputs.positions);
  return attach_backward(result.output, all, "AttentionBackward", backward);
}

}  // namespace meshfold::models::ops
