#pragma once

#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops::aten {

/// Every attention problem in LibTorch operations, fp32 inside, on any device. Inputs of one length are computed
/// together, a strip of queries at a time, so nothing is padded and memory grows with the length, not with its square.
/// Keys and values that heads share are repeated for each, and what a mask hides is computed and thrown away.
AttentionKernels attention();

}  // namespace meshfold::models::ops::aten
