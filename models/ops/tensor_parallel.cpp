#include "models/ops/tensor_parallel.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <functional>
#include <utility>

#include "dist/process_group.hpp"
#include "dist/sent_bytes.hpp"
#include "models/context/operand_types.hpp"
#include "models/context/token_rows.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/matmul.hpp"

namespace meshfold::models::ops {
namespace {

at::Tensor all_gather(const at::Tensor& own, at::ScalarType type, const TokenRows& rows, std::int64_t num_tokens,
                      dist::ProcessGroup& group) {
  const at::Tensor whole = at::empty({num_tokens, own.size(1)}, own.options().dtype(type));
  whole.narrow(0, rows.first, rows.count).copy_(own);
  group.all_gather_rows(whole, rows.of_ranks)->wait();
  return whole;
}

/// The sum over the ranks of [T, W], this rank's rows. Reductions take no bf16, and partial sums shall not be rounded.
at::Tensor reduce_scatter(const at::Tensor& partial, const TokenRows& rows, dist::ProcessGroup& group) {
  const at::Tensor sum = partial.to(at::kFloat).contiguous();
  group.reduce_scatter(sum, rows.of_ranks)->wait();
  return sum.narrow(0, rows.first, rows.count);
}

/// x W^T in fp32 whatever the type of the operands: it is a part of a sum.
at::Tensor partial_product(const at::Tensor& x, const at::Tensor& weight) {
  check_operands(weight.scalar_type(), "linear");
  return at::mm(x.to(at::kFloat), weight.to(at::kFloat).t());
}

/// All rows for a weight that is cut along dim 0, else this rank's.
at::Tensor rows_for(const ParameterView& weight, const at::Tensor& x, const PackedInput& input,
                    const ForwardContext& context) {
  return weight.sharded ? gather_rows(x, Use::kInParts, weight.compute.scalar_type(), input, context) : x;
}

/// This rank's rows of the sum of x W^T over the ranks, plus the bias. `input_backward` takes the gradient of all rows,
/// gives the sink that of the weight, and returns that of `source`, from which x came.
at::Tensor row_parallel_product(const at::Tensor& x, const at::Tensor& source, const Linear& projection,
                                const PackedInput& input, const ForwardContext& context,
                                const std::function<at::Tensor(const at::Tensor&)>& input_backward) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::ScalarType type = projection.weight.compute.scalar_type();
  const std::int64_t num_tokens = input.num_tokens();
  const TokenRows rows = token_rows(num_tokens, context);
  dist::ProcessGroup& group = *context.tensor;
  const ParameterView& bias = projection.bias;
  const at::Tensor sum = reduce_scatter(partial_product(x, projection.weight.compute), rows, group);
  const at::Tensor y = (bias.defined() ? sum + bias.value : sum).to(type);
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [=, &group, sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    if (bias.defined()) sink->add(bias, column_sums(dy));
    return {input_backward(all_gather(dy, type, rows, num_tokens, group))};
  };
  return attach_backward(y, {source}, "RowParallelLinearBackward", backward);
}

/// Which tokens' rows lie in this rank's piece of the table.
at::Tensor held_tokens(const ParameterView& table, const at::Tensor& indices) {
  const at::Tensor local = indices - table.first_row;
  return (local.ge(0) & local.lt(table.value.size(0))).nonzero().squeeze(1);
}

}  // namespace

at::Tensor gather_rows(const at::Tensor& x, Use use, at::ScalarType type, const PackedInput& input,
                       const ForwardContext& context) {
  if (!on_tensor_axis(context)) return x;
  const at::NoGradGuard no_graph;  // the block is the graph
  const TokenRows rows = token_rows(input.num_tokens(), context);
  dist::ProcessGroup& group = *context.tensor;
  const at::Tensor y = all_gather(x.detach(), type, rows, input.num_tokens(), group);
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [&group, use, rows, x_type = x.scalar_type()](const at::Tensor& dy) -> std::vector<at::Tensor> {
    if (use == Use::kAlike) return {dy.narrow(0, rows.first, rows.count).to(x_type).contiguous()};
    return {reduce_scatter(dy, rows, group).to(x_type)};
  };
  return attach_backward(y, {x}, "GatherRowsBackward", backward);
}

at::Tensor own_rows(const at::Tensor& x, const PackedInput& input, const ForwardContext& context) {
  if (!on_tensor_axis(context)) return x;
  const at::NoGradGuard no_graph;  // the block is the graph
  const std::int64_t num_tokens = input.num_tokens();
  const TokenRows rows = token_rows(num_tokens, context);
  const at::Tensor y = x.detach().narrow(0, rows.first, rows.count).clone();
  if (context.mode != Mode::kTraining) return y;
  const auto backward = [&group = *context.tensor, rows, num_tokens](const at::Tensor& dy) -> std::vector<at::Tensor> {
    return {all_gather(dy, dy.scalar_type(), rows, num_tokens, group)};
  };
  return attach_backward(y, {x}, "OwnRowsBackward", backward);
}

at::Tensor column_parallel_linear(const at::Tensor& x, const Linear& projection, const PackedInput& input,
                                  const ForwardContext& context) {
  return linear(rows_for(projection.weight, x, input, context), projection, Activation::kNone, context);
}

Activated column_parallel_linear(const at::Tensor& x, const Linear& projection, Activation activation,
                                 const PackedInput& input, const ForwardContext& context) {
  return activated_linear(rows_for(projection.weight, x, input, context), projection, activation, context);
}

at::Tensor row_parallel_linear(const at::Tensor& x, const Linear& projection, const PackedInput& input,
                               const ForwardContext& context) {
  if (!projection.weight.sharded) return linear(x, projection, Activation::kNone, context);
  const ParameterView& weight = projection.weight;
  const at::Tensor own_input = x.detach().to(weight.compute.scalar_type()).contiguous();
  const auto input_backward = [=, x_type = x.scalar_type(), sink = context.gradients](const at::Tensor& dy) {
    sink->add_product(weight, dy, own_input);
    return product_input_gradient(dy, weight.compute, x_type);
  };
  return row_parallel_product(own_input, x, projection, input, context, input_backward);
}

at::Tensor row_parallel_linear(const Activated& x, const Linear& projection, const PackedInput& input,
                               const ForwardContext& context) {
  if (!projection.weight.sharded) return linear(x, projection, context);
  const ParameterView& weight = projection.weight;
  at::Tensor z;
  if (x.before.defined()) z = x.before.detach();
  const auto input_backward = [=, activation = x.activation, sink = context.gradients](const at::Tensor& dy) {
    const auto [dz, own_input] = activated_input_gradient(dy, weight.compute, z, activation);
    sink->add_product(weight, dy, own_input);
    return dz;
  };
  return row_parallel_product(x.after, x.before, projection, input, context, input_backward);
}

at::Tensor gather_table_rows(const ParameterView& table, const at::Tensor& indices, const ForwardContext& context) {
  const TokenRows rows = token_rows(indices.numel(), context);
  const at::Tensor held = held_tokens(table, indices);
  const at::Tensor sum = at::zeros({indices.numel(), table.value.size(1)}, table.value.options());
  sum.index_copy_(0, held, table.value.index_select(0, indices.index_select(0, held) - table.first_row));
  return reduce_scatter(sum, rows, *context.tensor);
}

void add_table_rows(GradientSink& sink, const ParameterView& table, const at::Tensor& indices,
                    const at::Tensor& own_gradient, const ForwardContext& context) {
  const TokenRows rows = token_rows(indices.numel(), context);
  const at::Tensor gradient = all_gather(own_gradient, at::kFloat, rows, indices.numel(), *context.tensor);
  const at::Tensor held = held_tokens(table, indices);
  sink.add_rows(table, indices.index_select(0, held) - table.first_row, gradient.index_select(0, held));
}

std::int64_t sent_by_gathering(std::int64_t width, std::int64_t element_bytes, const PackOnRank& pack) {
  return dist::sent_by_all_gather(pack.own_rows * width * element_bytes, pack.tensor_ranks);
}

std::int64_t sent_by_adding(std::int64_t width, const PackOnRank& pack) {
  return dist::sent_by_reduce_scatter(fp32_bytes(pack.tokens, width), fp32_bytes(pack.own_rows, width));
}

}  // namespace meshfold::models::ops
