#pragma once

#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops {

/// Softmax attention of all tokens in host memory: a task per input and head, each single-threaded, so bits do not
/// depend on the number of threads. A task holds the scores of 32 queries at a time, so its memory grows with the
/// length, not with its square. Knows neither positions nor masks, nor soft caps, nor heads that share keys and values.
AttentionKernels strip_attention();

}  // namespace meshfold::models::ops
