#pragma once

#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops {

/// Attention of first tokens (QueryRows::kFirst) in host memory, with and without positions: one query per input, so the
/// work is that of one row, in proportion to the number of tokens. Each head is one task of one thread, its inputs in
/// order, so bits do not depend on the number of threads. Knows neither masks nor soft caps, nor heads that share keys
/// and values.
AttentionKernels first_row_attention();

}  // namespace meshfold::models::ops
