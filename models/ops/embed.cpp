#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <stdexcept>
#include <string>

#include "models/context/back_end.hpp"
#include "models/context/token_rows.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/chunks.hpp"
#include "models/ops/ops.hpp"
#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models::ops {
namespace {

/// The rows of one table for this rank's tokens; a model without that table has none.
struct Lookup {
  const std::int64_t* indices;  ///< null: the rows lie in order
  const float* table;

  const float* row(std::int64_t t, std::int64_t width) const {
    return table ? table + (indices ? indices[t] : t) * width : nullptr;
  }
};

/// The indices of all tokens are checked, so that all ranks fail together.
void check_indices(const char* what, const at::Tensor& indices, const ParameterView& table) {
  if (!table.value.defined()) return;
  const at::Tensor on_host = indices.cpu();
  const auto* values = on_host.const_data_ptr<std::int64_t>();
  for (std::int64_t t = 0; t < indices.numel(); ++t) {
    if (values[t] < 0 || values[t] >= table.num_rows) {
      throw std::invalid_argument(std::string("a ") + what + " is " + std::to_string(values[t]) +
                                  ", but the model has " + std::to_string(table.num_rows) +
                                  " of them; the data was prepared for another model");
    }
  }
}

/// `own`: what this rank looks up.
Lookup lookup(const at::Tensor& indices, const ParameterView& table, const TokenRows& own) {
  if (!table.value.defined()) return {nullptr, nullptr};
  return {indices.const_data_ptr<std::int64_t>() + own.first, table.value.const_data_ptr<float>()};
}

/// `words`: this rank's rows [T_r, H] of the words; the rows of the other tables are added.
at::Tensor add_rows_in_libtorch(at::Tensor words, const PackedInput& input, const ParameterView& positions,
                                const ParameterView& segments, const TokenRows& own) {
  const auto add = [&](const at::Tensor& indices, const ParameterView& table) {
    if (!table.value.defined()) return;
    words = words + table.value.index_select(0, indices.narrow(0, own.first, own.count));
  };
  add(input.positions, positions);
  add(input.segments, segments);
  return words;
}

/// fp32 [T_r, H].
at::Tensor sum_of_rows(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                       const ParameterView& segments, const ForwardContext& context) {
  const TokenRows own = token_rows(input.num_tokens(), context);
  check_indices("token id", input.token_ids, words);
  check_indices("position", input.positions, positions);
  check_indices("segment", input.segments, segments);
  const at::Tensor gathered = words.sharded ? gather_table_rows(words, input.token_ids, context) : at::Tensor();
  if (back_end_of(words.value) == BackEnd::kAten) {
    const at::Tensor rows =
        words.sharded ? gathered : words.value.index_select(0, input.token_ids.narrow(0, own.first, own.count));
    return add_rows_in_libtorch(rows, input, positions, segments, own);
  }
  Lookup word = lookup(input.token_ids, words, own);
  const Lookup others[] = {lookup(input.positions, positions, own), lookup(input.segments, segments, own)};
  if (words.sharded) word = {nullptr, gathered.const_data_ptr<float>()};
  const std::int64_t width = words.value.size(1);
  const at::Tensor sum = at::empty({own.count, width}, words.value.options());
  float* const sums = sum.mutable_data_ptr<float>();
  for_each_chunk(own.count, [&](std::int64_t, std::int64_t begin, std::int64_t end) {
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

at::Tensor sum_embeddings(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                          const ParameterView& segments, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor sum = sum_of_rows(input, words, positions, segments, context);
  if (context.mode != Mode::kTraining) return sum;
  const auto backward = [=, sink = context.gradients](const at::Tensor& given) -> std::vector<at::Tensor> {
    const at::Tensor gradient = given.contiguous();
    const TokenRows own = token_rows(input.num_tokens(), context);
    const auto add_own = [&](const ParameterView& table, const at::Tensor& indices) {
      if (table.value.defined()) sink->add_rows(table, indices.narrow(0, own.first, own.count), gradient);
    };
    if (words.sharded) {
      add_table_rows(*sink, words, input.token_ids, gradient, context);
    } else {
      add_own(words, input.token_ids);
    }
    add_own(positions, input.positions);
    add_own(segments, input.segments);
    return {};
  };
  return attach_backward(sum, {}, "SumEmbeddingsBackward", backward);
}

at::Tensor embed(const PackedInput& input, const ParameterView& words, const ParameterView& positions,
                 const ParameterView& segments, const ParameterView& gamma, const ParameterView& beta, double epsilon,
                 const DropoutSite& dropout, const ForwardContext& context) {
  return norm(sum_embeddings(input, words, positions, segments, context), gamma, beta, epsilon, dropout, input,
              context);
}

}  // namespace meshfold::models::ops
