#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/parameters/parameter_spec.hpp"
#include "models/parameters/parameter_view.hpp"

namespace meshfold::models {

struct Parameter {
  ParameterSpec spec;
  ParameterView view;
  std::int64_t num_elements = 0;  ///< of the local piece
};

/// "[512, 768]", for messages.
std::string shape_text(const std::vector<std::int64_t>& shape);

/// All parameters of a model on this rank, in a fixed order, as views of one flat fp32 buffer without gaps. Optimizer,
/// checkpoint, export, clipping and hashing walk this one structure. Add everything, then call allocate() once.
class ParameterStore {
 public:
  ParameterStore() = default;
  ParameterStore(ParameterStore&&) = default;
  ParameterStore& operator=(ParameterStore&&) = default;
  /// Declares a parameter; returns its index. Throws invalid_argument for a repeated name or a box outside the shape,
  /// logic_error once allocated.
  std::size_t add(ParameterSpec spec);
  /// Another box, before allocate(); the same conditions as in add().
  void set_box(std::size_t index, Box box);
  /// Another learning-rate factor.
  void set_rate(std::size_t index, double rate) { parameters_[index].spec.rate = rate; }
  /// Makes the storage on `device`, uninitialised. `compute_type` is kFloat or kBFloat16.
  void allocate(at::Device device, at::ScalarType compute_type);

  std::size_t size() const { return parameters_.size(); }
  const Parameter& operator[](std::size_t index) const { return parameters_[index]; }
  auto begin() const { return parameters_.begin(); }
  auto end() const { return parameters_.end(); }
  const Parameter* find(std::string_view name) const;  ///< nullptr if absent
  /// The view of one parameter, or of several neighbours (declared one after the other, equal trailing dims) joined
  /// along dim 0. Throws invalid_argument for an unknown name, for parameters that are no neighbours, and where only
  /// some have a compute copy.
  ParameterView view(std::span<const std::string> names) const;
  ParameterView view(const std::string& name) const;

  /// The whole flat fp32 storage, [num_elements()].
  const at::Tensor& flat() const { return flat_; }
  std::int64_t num_elements() const { return num_elements_; }
  at::ScalarType compute_type() const { return compute_type_; }
  /// Bytes of the low-precision copies; 0 in fp32.
  std::int64_t compute_copy_bytes() const {
    return compute_flat_.defined() ? static_cast<std::int64_t>(compute_flat_.nbytes()) : 0;
  }
  /// Rewrites the low-precision copies from the masters. After every change of the masters, before the next forward.
  void refresh_compute_copies();
  /// Hex XXH3-128 over names, shapes and values: equal hashes mean bitwise equal weights.
  std::string hash() const;

 private:
  /// Neighbours with a low-precision copy: one conversion from flat_ to compute_flat_.
  struct CopySpan {
    std::int64_t source, destination, count;
  };
  void lay_out_compute_copies();
  ParameterView fused_view(std::size_t first, std::size_t count) const;

  std::vector<Parameter> parameters_;
  std::map<std::string, std::size_t, std::less<>> index_;
  std::vector<std::int64_t> compute_offsets_;  ///< of each parameter in compute_flat_; -1 without a copy
  std::vector<CopySpan> copy_spans_;
  std::int64_t num_elements_ = 0;
  at::Tensor flat_, compute_flat_;
  at::ScalarType compute_type_ = at::kFloat;
};

}  // namespace meshfold::models
