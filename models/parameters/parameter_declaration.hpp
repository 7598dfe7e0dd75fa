#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

enum class Bias { kYes, kNo };

/// What a linear's parameters are: y [out] = W x [in] + b.
struct LinearSpec {
  Role role = Role::kNone;
  std::int64_t out = 0, in = 0;
  ComputeCopy copy = ComputeCopy::kYes;
  Bias bias = Bias::kYes;
  std::int64_t out_unit = 1, in_unit = 1;  ///< what a layout may not cut through (ParameterSpec::units)
};

/// Declares parameters in a store as the parts of a transformer want them: matrices decay, biases and norms do not;
/// matrices are normal at the start, biases zero, norms and scales one.
class ParameterDeclaration {
 public:
  ParameterDeclaration(ParameterStore& store, Region region) : store_(store), region_(region) {}

  /// The same for parameters of layer `index`.
  ParameterDeclaration in_layer(std::int64_t index) const;

  /// `name`.weight [rows, width], which is looked up.
  void table(const std::string& name, std::int64_t rows, std::int64_t width) const;
  /// `name`.weight [out, in] and `name`.bias [out].
  void linear(const std::string& name, const LinearSpec& linear) const;
  /// Several of one shape that find_fused_linear() views as one: all weights, then all biases.
  void fused_linears(const std::vector<std::string>& names, const LinearSpec& linear) const;
  /// `name`.weight and `name`.bias, both [size].
  void norm(const std::string& name, std::int64_t size, Role role = Role::kNorm, Bias bias = Bias::kYes) const;
  /// `name` [size].
  void scales(const std::string& name, std::int64_t size, Role role) const;

 private:
  ParameterSpec spec(std::string name, std::vector<std::int64_t> shape, Role role) const;
  void add_vector(std::string name, std::int64_t size, Role role, Initializer initializer,
                  std::vector<std::int64_t> units = {}) const;

  ParameterStore& store_;
  Region region_;
  std::optional<std::int64_t> layer_ = {};
};

/// The views of a declared linear.
Linear find_linear(const ParameterStore& store, const std::string& name);
/// Neighbours as one linear, fused along dim 0. Throws invalid_argument unless they were declared one after the other,
/// and all with a bias or all without.
Linear find_fused_linear(const ParameterStore& store, const std::vector<std::string>& names);
/// The views of a declared norm.
Norm find_norm(const ParameterStore& store, const std::string& name, double epsilon);
/// The same linear, multiplied in fp32 even when the model computes in bf16.
Linear in_full_precision(Linear linear);

}  // namespace meshfold::models
