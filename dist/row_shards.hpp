#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::dist {

/// `count` rows over `parts` ranks: the first count % parts ranks have one more than the others.
/// Example: 7 rows over 3 ranks -> 3, 2, 2; 1 row over 3 ranks -> 1, 0, 0.
std::vector<std::int64_t> even_row_shards(std::int64_t count, int parts);

/// Rows before those of `rank`.
std::int64_t first_row(std::span<const std::int64_t> rows, int rank);

/// Elements of one index along dim 0; 0 if there is none.
std::size_t elements_of_row(const at::Tensor& tensor);

/// Throws invalid_argument unless `rows` cuts dim 0 of `whole` among `ranks` ranks.
void check_row_shards(const at::Tensor& whole, std::span<const std::int64_t> rows, int ranks, const char* operation);

}  // namespace meshfold::dist
