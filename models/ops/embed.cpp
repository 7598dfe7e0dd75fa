#include "models/ops/embed.hpp"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "models/context/back_end.hpp"
#include "models/context/token_rows.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/chunks.hpp"
#include "models/ops/norm.hpp"
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
  if (!table.defined()) return;
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
  if (!table.defined()) return {nullptr, nullptr};
  return {indices.const_data_ptr<std::int64_t>() + own.first, table.value.const_data_ptr<float>()};
}

/// `words`: this rank's rows [T_r, H] of the words; the rows of the other tables are added.
at::Tensor add_rows_in_libtorch(at::Tensor words, const PackedInput& input, const EmbeddingTables& tables,
                                const TokenRows& own) {
  const auto add = [&](const at::Tensor& indices, const ParameterView& table) {
    if (table.defined()) words = words + table.value.index_select(0, indices.narrow(0, own.first, own.count));
  };
  add(input.positions, tables.positions);
  add(input.segments, tables.segments);
  return words;
}

/// fp32 [T_r, H].
at::Tensor sum_of_rows(const PackedInput& input, const EmbeddingTables& tables, const ForwardContext& context) {
  const ParameterView& words = tables.words;
  const TokenRows own = token_rows(input.num_tokens(), context);
  check_indices("token id", input.token_ids, words);
  check_indices("position", input.positions, tables.positions);
  check_indices("segment", input.segments, tables.segments);
  const at::Tensor gathered = words.sharded ? gather_table_rows(words, input.token_ids, context) : at::Tensor();
  if (back_end_of(words.value) == BackEnd::kAten) {
    const at::Tensor rows =
        words.sharded ? gathered : words.value.index_select(0, input.token_ids.narrow(0, own.first, own.count));
    return add_rows_in_libtorch(rows, input, tables, own);
  }
  Lookup word = lookup(input.token_ids, words, own);
  const Lookup others[] = {lookup(input.positions, tables.positions, own),
                           lookup(input.segments, tables.segments, own)};
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

at::Tensor sum_embeddings(const PackedInput& input, const EmbeddingTables& tables, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor sum = sum_of_rows(input, tables, context);
  if (context.mode != Mode::kTraining) return sum;
  const auto backward = [=, sink = context.gradients](const at::Tensor& given) -> std::vector<at::Tensor> {
    const at::Tensor gradient = given.contiguous();
    const TokenRows own = token_rows(input.num_tokens(), context);
    const auto add_own = [&](const ParameterView& table, const at::Tensor& indices) {
      if (table.defined()) sink->add_rows(table, indices.narrow(0, own.first, own.count), gradient);
    };
    if (tables.words.sharded) {
      add_table_rows(*sink, tables.words, input.token_ids, gradient, context);
    } else {
      add_own(tables.words, input.token_ids);
    }
    add_own(tables.positions, input.positions);
    add_own(tables.segments, input.segments);
    return {};
  };
  return attach_backward(sum, {}, "SumEmbeddingsBackward", backward);
}

at::Tensor embed(const PackedInput& input, const EmbeddingTables& tables, const Norm& after, const DropoutSite& dropout,
                 const ForwardContext& context) {
  return norm(sum_embeddings(input, tables, context), after, dropout, input, context);
}

at::Tensor relative_embeddings(const ParameterView& table, const SlotRows& rows, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor slots = table.value.narrow(0, rows.first, rows.count).clone();
  if (context.mode != Mode::kTraining) return slots;
  const auto backward = [=, sink = context.gradients](const at::Tensor& dy) -> std::vector<at::Tensor> {
    sink->add_rows(table, at::arange(rows.first, rows.first + rows.count, dy.options().dtype(at::kLong)),
                   dy.contiguous());
    return {};
  };
  return attach_backward(slots, {}, "RelativeEmbeddingsBackward", backward);
}

at::Tensor dropout_slots(const at::Tensor& x, const SlotRows& rows, const DropoutSite& site,
                         const ForwardContext& context) {
  const auto dropout =
      std::make_shared<const RowDropout>(RowDropout::over_slots(site, rows.first, rows.count, context));
  if (!dropout->active()) return x;
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor y = multiply_rows(x.detach(), *dropout);
  if (context.mode != Mode::kTraining) return y;
  return attach_backward(y, {x}, "DropoutSlotsBackward", [dropout](const at::Tensor& dy) -> std::vector<at::Tensor> {
    return {multiply_rows(dy, *dropout)};
  });
}

}  // namespace meshfold::models::ops
