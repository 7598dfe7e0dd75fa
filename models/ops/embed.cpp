#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "models/ops/autograd.hpp"
#include "models/ops/chunks.hpp"
#include "models/ops/layer_norm.hpp"
#include "models/ops/ops.hpp"

namespace meshfold::models::ops {
namespace {

/// The rows of one table that a pack uses; a model without that table has none.
struct Lookup {
  const std::int64_t* indices;
  const float* table;

  const float* row(std::int64_t t, std::int64_t width) const { return table ? table + indices[t] * width : nullptr; }
};

Lookup checked_lookup(const char* what, const at::Tensor& indices, const ParameterView& table) {
  if (!table.value.defined()) return {nullptr, nullptr};
  const auto* values = indices.const_data_ptr<std::int64_t>();
  for (std::int64_t t = 0; t < indices.numel(); ++t) {
    if (values[t] < 0 || values[t] >= table.value.size(0)) {
      throw std::invalid_argument(std::string("a ") + what + " is " + std::to_string(values[t]) +
                                  ", but the model has " + std::to_string(table.value.size(0)) +
                                  " of them; the data was prepared for another model");
    }
  }
  return {values, table.value.const_data_ptr<float>()};
}

at::Tensor sum_of_rows(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                       const ParameterView& segments) {
  const Lookup word = checked_lookup("token id", input.token_ids, words);
  const Lookup others[] = {checked_lookup("position", input.positions, positions),
                           checked_lookup("segment", input.segments, segments)};
  const std::int64_t width = words.value.size(1);
  const at::Tensor sum = at::empty({input.num_tokens(), width}, words.value.options());
  float* const sums = sum.mutable_data_ptr<float>();
  for_each_chunk(input.num_tokens(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    for (std::int64_t t = begin; t < end; ++t) {
      const float* first = word.row(t, width);
      float* out = sums + t * width;
      std::copy(first, first + width, out);
      for (const Lookup& lookup : others) {
        const float* row = lookup.row(t, width);
        if (!row) continue;
        for (std::int64_t i = 0; i < width; ++i) out[i] += row[i];
      }
    }
  });
  return sum;
}

}  // namespace

at::Tensor embed(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                 const ParameterView& segments, const ParameterView& gamma, const ParameterView& beta, double epsilon,
                 const DropoutSite& site, const ForwardContext& context) {
  const auto dropout = std::make_shared<const RowDropout>(RowDropout::over_tokens(site, input, context));
  const at::NoGradGuard no_graph;  // the block is the graph
  NormResult result = norm_forward({.base = sum_of_rows(input, words, positions, segments),
                                    .x = {},
                                    .before = nullptr,
                                    .after = dropout.get(),
                                    .gamma = gamma.value,
                                    .beta = beta.value,
                                    .epsilon = epsilon});
  if (context.mode != Mode::kTraining) return result.y;
  const at::Tensor y = std::move(result.y);
  const auto backward = [=, saved = std::move(result),
                         sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const auto gradients = norm_backward(dy, saved, gamma.value, nullptr, dropout.get(), at::ScalarType::Undefined);
    sink->add(gamma, gradients.gamma);
    sink->add(beta, gradients.beta);
    sink->add_rows(words, input.token_ids, gradients.base);
    if (positions.value.defined()) sink->add_rows(positions, input.positions, gradients.base);
    if (segments.value.defined()) sink->add_rows(segments, input.segments, gradients.base);
    return {};
  };
  return attach_backward(y, {}, "EmbedBackward", backward);
}

}  // namespace meshfold::models::ops
