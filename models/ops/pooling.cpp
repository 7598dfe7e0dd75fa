#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <memory>
#include <stdexcept>

#include "models/context/back_end.hpp"
#include "models/context/dropout.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/ops.hpp"

namespace meshfold::models::ops {
namespace {

void refuse_empty_inputs(const PackedInput& input) {
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    if (input.cu_seqlens[s + 1] <= input.cu_seqlens[s]) throw std::invalid_argument("pooling: an input has no token");
  }
}

at::Tensor host_tensor(const std::int32_t* values, std::int64_t count, const at::Tensor& like) {
  return at::tensor(at::IntArrayRef(std::vector<std::int64_t>(values, values + count)),
                    like.options().dtype(at::kLong));
}

}  // namespace

at::Tensor multiply_rows(const at::Tensor& x, const RowDropout& dropout) {
  const std::int64_t width = x.size(1), padded = Dropout::padded_width(width);
  if (back_end_of(x) == BackEnd::kAten) return x * dropout.multipliers(width, x.device()).to(x.scalar_type());
  const at::Tensor multipliers = at::empty({x.size(0), padded}, x.options().dtype(at::kFloat));
  float* out = multipliers.mutable_data_ptr<float>();
  for (std::int64_t row = 0; row < x.size(0); ++row) dropout.fill_row(row, width, out + row * padded);
  return x * multipliers.narrow(1, 0, width).to(x.scalar_type());
}

at::Tensor pool_cls(const at::Tensor& hidden, const PackedInput& input) {
  refuse_empty_inputs(input);
  return hidden.index_select(0, host_tensor(input.cu_seqlens.data(), input.num_inputs(), hidden));
}

at::Tensor pool_mean(const at::Tensor& hidden, const PackedInput& input) {
  refuse_empty_inputs(input);
  const at::NoGradGuard no_graph;  // the block is the graph
  const std::int64_t count = input.num_inputs();
  const at::Tensor starts = host_tensor(input.cu_seqlens.data(), count, hidden);
  const at::Tensor lengths = host_tensor(input.cu_seqlens.data() + 1, count, hidden) - starts;
  const at::Tensor source = hidden.detach(), mean = at::empty({count, hidden.size(1)}, hidden.options());
  for (std::int64_t s = 0; s < count; ++s) {
    const std::int64_t first = input.cu_seqlens[s];
    mean[s].copy_(source.narrow(0, first, input.cu_seqlens[s + 1] - first).mean(0));
  }
  if (!hidden.requires_grad()) return mean;
  return attach_backward(mean, {hidden}, "PoolMeanBackward",
                         [lengths](const at::Tensor& dy) -> std::vector<at::Tensor> {
                           return {(dy / lengths.unsqueeze(1).to(dy.scalar_type())).repeat_interleave(lengths, 0)};
                         });
}

at::Tensor dropout_rows(const at::Tensor& x, const DropoutSite& site, const PackedInput& input,
                        const ForwardContext& context) {
  const auto dropout = std::make_shared<const RowDropout>(RowDropout::over_inputs(site, input, context));
  if (!dropout->active()) return x;
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor y = multiply_rows(x.detach(), *dropout);
  return attach_backward(y, {x}, "DropoutRowsBackward", [dropout](const at::Tensor& dy) -> std::vector<at::Tensor> {
    return {multiply_rows(dy, *dropout)};
  });
}

}  // namespace meshfold::models::ops
