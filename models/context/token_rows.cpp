#include "models/context/token_rows.hpp"

#include "dist/process_group.hpp"
#include "dist/row_shards.hpp"

namespace meshfold::models {

bool on_tensor_axis(const ForwardContext& context) { return context.tensor != nullptr && context.tensor->size() > 1; }

TokenRows token_rows(std::int64_t num_tokens, const ForwardContext& context) {
  if (!on_tensor_axis(context)) return token_rows(num_tokens, 0, 1);
  return token_rows(num_tokens, context.tensor->rank(), context.tensor->size());
}

TokenRows token_rows(std::int64_t num_tokens, int rank, int ranks) {
  TokenRows rows;
  rows.of_ranks = dist::even_row_shards(num_tokens, ranks);
  rows.first = dist::first_row(rows.of_ranks, rank);
  rows.count = rows.of_ranks[static_cast<std::size_t>(rank)];
  return rows;
}

}  // namespace meshfold::models
