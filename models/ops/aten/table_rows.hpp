#pragma once

#include <ATen/core/Tensor.h>

namespace meshfold::models::ops::aten {

/// table[indices[i]] += rows[i], fp32 [V, W] and [n, W], indices int32 or int64 [n]. The rows of one index are first
/// added among themselves in order of i, so bits do not change from run to run, as those of atomic additions do. Throws
/// out_of_range for an index outside the table.
void add_rows(const at::Tensor& table, const at::Tensor& indices, const at::Tensor& rows);

}  // namespace meshfold::models::ops::aten
