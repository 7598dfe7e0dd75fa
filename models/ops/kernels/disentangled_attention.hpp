#pragma once

#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops {

/// DeBERTa's attention of all tokens in host memory (He et al., 2020), head by head (disentangled_head.hpp). One task
/// for each head and each of four fixed shares of the inputs, each single-threaded, so bits do not depend on the number
/// of threads. Scratch grows with the longest input, not with its square. Knows neither masks nor soft caps, nor heads
/// that share keys and values.
AttentionKernels disentangled_attention();

}  // namespace meshfold::models::ops
