#include "models/ops/aten/table_rows.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>
#include <tuple>

namespace meshfold::models::ops::aten {

void add_rows(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& rows) {
  if (indices.numel() == 0) return;
  const auto [sorted, order] = at::sort(indices.to(at::kLong), /*stable=*/true, 0, /*descending=*/false);
  const at::Tensor ends = at::stack({sorted[0], sorted[-1]}).cpu();
  if (ends[0].item<std::int64_t>() < 0 || ends[1].item<std::int64_t>() >= table.size(0)) {
    throw std::out_of_range("add_rows: an index is outside the table of " + std::to_string(table.size(0)) + " rows");
  }
  const auto [touched, inverse, counts] = at::unique_consecutive(sorted, /*return_inverse=*/false,
                                                                 /*return_counts=*/true);
  const at::Tensor sums = at::segment_reduce(rows.index_select(0, order), "sum", counts, {}, {}, /*axis=*/0,
                                             /*unsafe=*/true, /*initial=*/0);
  at::Tensor(table).index_add_(0, touched, sums);  // each row once
}

}  // namespace meshfold::models::ops::aten
