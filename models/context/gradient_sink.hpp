#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/parameters/parameter_view.hpp"

namespace meshfold::models {

/// Where weight gradients go: weights are no autograd leaves, the backward of each block hands its weight gradients
/// here. The only place that accumulates; an implementation may add at once or queue the product for later.
class GradientSink {
 public:
  virtual ~GradientSink() = default;
  /// weight.grad += output_gradient^T x input, for y = x W^T. output_gradient [rows, out], input [rows, in]; fp32 or
  /// bf16, fp32 sums.
  virtual void add_product(const ParameterView& weight, const at::Tensor& output_gradient, const at::Tensor& input) = 0;
  /// parameter.grad += gradient (same shape, fp32).
  virtual void add(const ParameterView& parameter, const at::Tensor& gradient) = 0;
  /// table.grad[indices[i]] += rows[i]; indices int32 or int64 [n], rows fp32 [n, width]; in order of i.
  virtual void add_rows(const ParameterView& table, const at::Tensor& indices, const at::Tensor& rows) = 0;
  /// In a pack's backward: all gradients of the pack for the flat storage from element `first` on have been given.
  virtual void complete_from(std::int64_t first) { static_cast<void>(first); }
};

}  // namespace meshfold::models
