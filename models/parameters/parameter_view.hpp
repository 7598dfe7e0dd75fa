#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

/// What blocks take of a ParameterStore: views of its parameters, alone or as the whole value that a block computes
/// with.
namespace meshfold::models {

/// A span of the store's flat storage seen as a tensor: one parameter, or neighbours fused along dim 0 (query, key and
/// value as one matrix).
struct ParameterView {
  std::int64_t offset = 0;     ///< first element in the flat storage
  at::Tensor value;            ///< fp32 master, local shape; a view, so optimizer updates are seen
  at::Tensor compute;          ///< what matrix products read: the bf16 copy, or `value` in fp32 runs
  bool sharded = false;        ///< this rank holds a part of it only
  std::int64_t first_row = 0;  ///< of the box, along dim 0 (of the first of fused parameters)
  std::int64_t num_rows = 0;   ///< of the whole tensor, along dim 0 (of the first of fused parameters)

  /// Whether it views anything; a model may lack a bias or a table.
  bool defined() const { return value.defined(); }
};

/// y = x W^T + b.
struct Linear {
  ParameterView weight;  ///< [out, in]
  ParameterView bias;    ///< [out]; may be undefined
};

/// y = (x - mean) / sqrt(variance + epsilon) * weight + bias (Ba et al., "Layer Normalization", 2016).
struct Norm {
  ParameterView weight;  ///< [width]
  ParameterView bias;    ///< [width]; may be undefined
  double epsilon = 1e-12;
};

}  // namespace meshfold::models
