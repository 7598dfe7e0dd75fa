#include "models/parameters/parameter_declaration.hpp"

namespace meshfold::models {

void ParameterDeclaration::weight(const std::string& name, std::int64_t rows, std::int64_t columns, ComputeCopy copy,
                                  std::vector<std::int64_t> units) {
  add(name + ".weight", {rows, columns}, Decay::kYes, copy, Initializer::kNormal, std::move(units));
}

void ParameterDeclaration::bias(const std::string& name, std::int64_t size, std::vector<std::int64_t> units) {
  add(name + ".bias", {size}, Decay::kNo, ComputeCopy::kNo, Initializer::kZeros, std::move(units));
}

void ParameterDeclaration::linear(const std::string& name, std::int64_t out, std::int64_t in, ComputeCopy copy) {
  weight(name, out, in, copy);
  bias(name, out);
}

void ParameterDeclaration::norm(const std::string& name, std::int64_t size) {
  add(name + ".weight", {size}, Decay::kNo, ComputeCopy::kNo, Initializer::kOnes, {});
  bias(name, size);
}

void ParameterDeclaration::scales(const std::string& name, std::int64_t size) {
  add(name, {size}, Decay::kNo, ComputeCopy::kNo, Initializer::kOnes, {});
}

void ParameterDeclaration::add(std::string name, std::vector<std::int64_t> shape, Decay decay, ComputeCopy copy,
                               Initializer initializer, std::vector<std::int64_t> units) {
  store_.add({std::move(name), std::move(shape), {}, decay, copy, initializer, std::move(units), region_});
}

LinearParameters find_linear(const ParameterStore& store, const std::string& name) {
  return {store.view(name + ".weight"), store.view(name + ".bias")};
}

LinearParameters find_fused_linear(const ParameterStore& store, const std::vector<std::string>& names) {
  std::vector<std::string> weights, biases;
  for (const std::string& name : names) {
    weights.push_back(name + ".weight");
    biases.push_back(name + ".bias");
  }
  return {store.view(weights), store.view(biases)};
}

LinearParameters in_full_precision(LinearParameters parameters) {
  parameters.weight.compute = parameters.weight.value;
  return parameters;
}

}  // namespace meshfold::models
