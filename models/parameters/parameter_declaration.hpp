#pragma once

#include <string>
#include <vector>

#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

/// Declares parameters in a store as the parts of a transformer want them: matrices decay, biases and norms do not.
class ParameterDeclaration {
 public:
  ParameterDeclaration(ParameterStore& store, Region region) : store_(store), region_(region) {}

  /// `name`.weight [rows, columns], normal at the start. `units`: ParameterSpec::units.
  void weight(const std::string& name, std::int64_t rows, std::int64_t columns, ComputeCopy copy,
              std::vector<std::int64_t> units = {});
  /// `name`.bias [size], zero at the start.
  void bias(const std::string& name, std::int64_t size, std::vector<std::int64_t> units = {});
  /// `name`.weight [out, in] and `name`.bias [out].
  void linear(const std::string& name, std::int64_t out, std::int64_t in, ComputeCopy copy);
  /// `name`.weight and `name`.bias, both [size]; one and zero at the start.
  void norm(const std::string& name, std::int64_t size);
  /// `name` [size], one at the start.
  void scales(const std::string& name, std::int64_t size);

 private:
  void add(std::string name, std::vector<std::int64_t> shape, Decay decay, ComputeCopy copy, Initializer initializer,
           std::vector<std::int64_t> units);

  ParameterStore& store_;
  Region region_;
};

/// What one block multiplies or scales by, and adds.
struct LinearParameters {
  ParameterView weight, bias;
};
using NormParameters = LinearParameters;

/// The views of `name`.weight and `name`.bias.
LinearParameters find_linear(const ParameterStore& store, const std::string& name);
/// Neighbours fused along dim 0: first all weights, then all biases must have been declared one after the other.
LinearParameters find_fused_linear(const ParameterStore& store, const std::vector<std::string>& names);
/// The same parameters, multiplied in fp32 even when the model computes in bf16.
LinearParameters in_full_precision(LinearParameters parameters);

}  // namespace meshfold::models
