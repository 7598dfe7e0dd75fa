#include "models/parameters/parameter_declaration.hpp"

#include <algorithm>
#include <utility>

namespace meshfold::models {

ParameterDeclaration ParameterDeclaration::in_layer(std::int64_t index) const {
  ParameterDeclaration of_layer = *this;
  of_layer.layer_ = index;
  return of_layer;
}

void ParameterDeclaration::table(const std::string& name, std::int64_t rows, std::int64_t width) const {
  store_.add(spec(name + ".weight", {rows, width}, Role::kEmbedding));
}

void ParameterDeclaration::linear(const std::string& name, const LinearSpec& linear) const {
  fused_linears({name}, linear);
}

void ParameterDeclaration::fused_linears(const std::vector<std::string>& names, const LinearSpec& linear) const {
  for (const std::string& name : names) {
    ParameterSpec weight = spec(name + ".weight", {linear.out, linear.in}, linear.role);
    weight.compute_copy = linear.copy;
    weight.units = {linear.out_unit, linear.in_unit};
    store_.add(std::move(weight));
  }
  if (linear.bias == Bias::kNo) return;
  for (const std::string& name : names) {
    add_vector(name + ".bias", linear.out, linear.role, Initializer::kZeros, {linear.out_unit});
  }
}

void ParameterDeclaration::norm(const std::string& name, std::int64_t size, Role role, Bias bias) const {
  add_vector(name + ".weight", size, role, Initializer::kOnes);
  if (bias == Bias::kYes) add_vector(name + ".bias", size, role, Initializer::kZeros);
}

void ParameterDeclaration::scales(const std::string& name, std::int64_t size, Role role) const {
  add_vector(name, size, role, Initializer::kOnes);
}

ParameterSpec ParameterDeclaration::spec(std::string name, std::vector<std::int64_t> shape, Role role) const {
  ParameterSpec declared;
  declared.name = std::move(name);
  declared.global_shape = std::move(shape);
  declared.region = region_;
  declared.role = role;
  declared.layer = layer_;
  return declared;
}

void ParameterDeclaration::add_vector(std::string name, std::int64_t size, Role role, Initializer initializer,
                                      std::vector<std::int64_t> units) const {
  ParameterSpec vector = spec(std::move(name), {size}, role);
  vector.decay = Decay::kNo;
  vector.initializer = initializer;
  vector.units = std::move(units);
  store_.add(std::move(vector));
}

Linear find_linear(const ParameterStore& store, const std::string& name) { return find_fused_linear(store, {name}); }

Linear find_fused_linear(const ParameterStore& store, const std::vector<std::string>& names) {
  std::vector<std::string> weights, biases;
  for (const std::string& name : names) {
    weights.push_back(name + ".weight");
    biases.push_back(name + ".bias");
  }
  const bool has_bias = std::ranges::any_of(biases, [&](const std::string& bias) { return store.find(bias); });
  return {.weight = store.view(weights), .bias = has_bias ? store.view(biases) : ParameterView()};
}

Norm find_norm(const ParameterStore& store, const std::string& name, double epsilon) {
  const std::string bias = name + ".bias";
  return {.weight = store.view(name + ".weight"),
          .bias = store.find(bias) ? store.view(bias) : ParameterView(),
          .epsilon = epsilon};
}

Linear in_full_precision(Linear linear) {
  linear.weight.compute = linear.weight.value;
  return linear;
}

}  // namespace meshfold::models
