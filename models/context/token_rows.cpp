#include "models/context/token_rows.hpp"

#include "dist/process_group.hpp"
#include "dist/row_shards.hpp"

namespace meshfold::models {

bool on_tensor_axis(const ForwardContext& context) { return context.tensor != nullptr && context.tensor->size() > 1; }

TokenRows token_rows(std::int64_t num_tokens, const ForwardContext& context) {
  if (!on_tensor_axis(context)) return {0, num_tokens, {num_tokens}};
  TokenRows rows;
  rows.of_ranks = dist::even_row_shards(num_tokens, context.tensor->size());
  rows.first = dist::first_row(rows.of_ranks, context.tensor->rank());
  rows.count = rows.of_ranks[static_cast<std::size_t>(context.tensor->rank())];
  return rows;
}

}  // namespace meshfold::models
