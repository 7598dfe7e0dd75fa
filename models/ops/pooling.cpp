#include "models/ops/pooling.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cmath>
#include <memory>
#include <stdexcept>

#include "models/context/back_end.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/autograd.hpp"

namespace meshfold::models::ops {
namespace {

struct Tokens {
  std::int64_t first, count;
};

Tokens tokens_of(const PackedInput& input, std::int64_t index) {
  const auto s = static_cast<std::size_t>(index);
  const Tokens tokens{input.cu_seqlens[s], input.cu_seqlens[s + 1] - input.cu_seqlens[s]};
  if (tokens.count <= 0) throw std::invalid_argument("pooling: an input has no token");
  return tokens;
}

/// The extreme of each column over the rows of one input, and the row it comes from.
void scan_columns(const float* rows, const Tokens& tokens, std::int64_t width, Extreme extreme, float* value,
                  std::int64_t* index) {
  const float sign = extreme == Extreme::kLargest ? 1.0F : -1.0F;
  const float* first = rows + tokens.first * width;
  for (std::int64_t c = 0; c < width; ++c) {
    value[c] = first[c];
    index[c] = tokens.first;
  }
  for (std::int64_t t = tokens.first + 1; t < tokens.first + tokens.count; ++t) {
    const float* row = rows + t * width;
    for (std::int64_t c = 0; c < width; ++c) {
      const bool wins = sign * row[c] > sign * value[c] || (std::isnan(row[c]) && !std::isnan(value[c]));
      if (!wins) continue;
      value[c] = row[c];
      index[c] = t;
    }
  }
}

/// The same in LibTorch operations, for rows [count, width] on any device.
void scan_columns_in_libtorch(const at::Tensor& rows, std::int64_t first, Extreme extreme, at::Tensor value,
                              at::Tensor index) {
  value.copy_(extreme == Extreme::kLargest ? rows.amax(0) : rows.amin(0));
  const at::Tensor places = at::arange(first, first + rows.size(0), index.options()).unsqueeze(1);
  const at::Tensor wins = rows.eq(value).logical_or(rows.isnan());  // with a NaN the extreme is one
  index.copy_(places.expand(rows.sizes()).masked_fill(wins.logical_not(), first + rows.size(0)).amin(0));
}

at::Tensor index_tensor(const std::vector<std::int64_t>& values, const at::Tensor& like) {
  return at::tensor(values, like.options().dtype(at::kLong));
}

}  // namespace

at::Tensor pool_cls(const at::Tensor& hidden, const PackedInput& input) {
  std::vector<std::int64_t> first;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) first.push_back(tokens_of(input, s).first);
  return hidden.index_select(0, index_tensor(first, hidden));
}

at::Tensor pool_last(const at::Tensor& hidden, const PackedInput& input) {
  std::vector<std::int64_t> last;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const auto [first, count] = tokens_of(input, s);
    last.push_back(first + count - 1);
  }
  return hidden.index_select(0, index_tensor(last, hidden));
}

at::Tensor pool_mean(const at::Tensor& hidden, const PackedInput& input) {
  check_operands(hidden.scalar_type(), "pooling");
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor source = hidden.detach(), mean = at::empty({input.num_inputs(), hidden.size(1)}, hidden.options());
  std::vector<std::int64_t> counts;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const auto [first, count] = tokens_of(input, s);
    mean[s].copy_(source.narrow(0, first, count).mean(0));
    counts.push_back(count);
  }
  if (!hidden.requires_grad()) return mean;
  const at::Tensor lengths = index_tensor(counts, hidden);
  return attach_backward(mean, {hidden}, "PoolMeanBackward",
                         [lengths](const at::Tensor& dy) -> std::vector<at::Tensor> {
                           return {(dy / lengths.unsqueeze(1).to(dy.scalar_type())).repeat_interleave(lengths, 0)};
                         });
}

at::Tensor pool_extreme(const at::Tensor& hidden, const PackedInput& input, Extreme extreme) {
  check_operands(hidden.scalar_type(), "pooling");
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor source = hidden.detach().to(at::kFloat).contiguous();
  const std::int64_t count = input.num_inputs(), num_tokens = source.size(0), width = source.size(1);
  const at::Tensor value = at::empty({count, width}, source.options());
  const at::Tensor index = at::empty({count, width}, source.options().dtype(at::kLong));
  for (std::int64_t s = 0; s < count; ++s) {
    if (back_end_of(source) == BackEnd::kAten) {
      const Tokens tokens = tokens_of(input, s);
      scan_columns_in_libtorch(source.narrow(0, tokens.first, tokens.count), tokens.first, extreme, value[s], index[s]);
      continue;
    }
    scan_columns(source.const_data_ptr<float>(), tokens_of(input, s), width, extreme,
                 value.mutable_data_ptr<float>() + s * width, index.mutable_data_ptr<std::int64_t>() + s * width);
  }
  if (!hidden.requires_grad()) return value;
  const auto backward = [index, num_tokens, type = hidden.scalar_type()](const at::Tensor& dy) {
    const at::Tensor dx = at::zeros({num_tokens, dy.size(1)}, dy.options());
    return std::vector<at::Tensor>{dx.scatter_(0, index, dy).to(type)};  // an index occurs once a column
  };
  return attach_backward(value, {hidden}, "PoolExtremeBackward", backward);
}

at::Tensor pool_softmax(const at::Tensor& hidden, const at::Tensor& scores, const PackedInput& input) {
  check_operands(hidden.scalar_type(), "pooling");
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor x = hidden.detach(), score = scores.detach();
  const at::Tensor weights = at::empty({x.size(0), 1}, x.options());
  const at::Tensor pooled = at::empty({input.num_inputs(), x.size(1)}, x.options());
  std::vector<Tokens> texts;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const auto [first, count] = texts.emplace_back(tokens_of(input, s));
    at::Tensor weight = weights.narrow(0, first, count);
    weight.copy_(score.narrow(0, first, count).softmax(0));
    pooled[s].copy_((x.narrow(0, first, count) * weight).sum(0));
  }
  if (!hidden.requires_grad() && !scores.requires_grad()) return pooled;
  const auto backward = [x, weights, texts, pooled](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const at::Tensor dx = at::empty_like(x), dscores = at::empty_like(weights);
    for (std::size_t s = 0; s < texts.size(); ++s) {
      const auto [first, count] = texts[s];
      const at::Tensor gradient = dy[static_cast<std::int64_t>(s)], weight = weights.narrow(0, first, count);
      dx.narrow(0, first, count).copy_(weight * gradient);
      const at::Tensor from_mean = x.narrow(0, first, count) - pooled[static_cast<std::int64_t>(s)];
      dscores.narrow(0, first, count).copy_(weight * (from_mean * gradient).sum(1, true));
    }
    return {dx, dscores};
  };
  return attach_backward(pooled.clone(), {hidden, scores}, "PoolSoftmaxBackward", backward);
}

at::Tensor weighted_mean(const std::vector<at::Tensor>& rows, const ParameterView& weights,
                         const ForwardContext& context) {
  if (weights.value.sizes() != at::IntArrayRef{static_cast<std::int64_t>(rows.size())}) {
    throw std::invalid_argument("weighted_mean takes a weight for each of its summands");
  }
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor shares = weights.value / weights.value.sum();
  std::vector<at::Tensor> summands;
  for (const at::Tensor& row : rows) summands.push_back(row.detach());
  const at::Tensor stacked = at::stack(summands);  // [n, S, H]
  const at::Tensor mean = (stacked * shares.view({-1, 1, 1})).sum(0);
  if (context.mode != Mode::kTraining) return mean;
  const auto backward = [stacked, shares, weights, saved = mean.clone(), total = weights.value.sum(),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    sink->add(weights, (((stacked - saved) * dy).sum({1, 2}) / total).to(at::kFloat));
    std::vector<at::Tensor> gradients;
    for (std::int64_t l = 0; l < shares.size(0); ++l) gradients.push_back(dy * shares[l]);
    return gradients;
  };
  return attach_backward(mean, rows, "WeightedMeanBackward", backward);
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

at::Tensor mean_dropout_rows(const at::Tensor& x, std::span<const DropoutSite> sites, const PackedInput& input,
                             const ForwardContext& context) {
  if (sites.size() == 1) return dropout_rows(x, sites.front(), input, context);
  at::Tensor multipliers;
  {
    const at::NoGradGuard no_graph;
    const at::Tensor ones = at::ones_like(x, x.options().requires_grad(false));
    for (const DropoutSite& site : sites) {
      const at::Tensor sample = dropout_rows(ones, site, input, context).detach();
      multipliers = multipliers.defined() ? multipliers + sample : sample;
    }
    multipliers = multipliers / static_cast<double>(sites.size());
  }
  return x * multipliers;
}

}  // namespace meshfold::models::ops
