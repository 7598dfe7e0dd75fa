#include "models/parameters/parameter_declaration.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace meshfold::models {
namespace {

const std::vector<std::string> kNames = {"query", "key", "value"};

ParameterStore store_with(Bias bias) {
  ParameterStore store;
  const ParameterDeclaration declare(store, Region::kTokens);
  declare.in_layer(2).fused_linears(kNames,
                                    {.role = Role::kQueryKeyValue, .out = 6, .in = 4, .bias = bias, .out_unit = 3});
  declare.norm("norm", 4, Role::kNorm, bias);
  store.allocate(at::kCPU, at::kBFloat16);
  store.flat().copy_(at::randn({store.num_elements()}));
  store.refresh_compute_copies();
  return store;
}

TEST(ParameterDeclaration, SaysWhatEachParameterIsFor) {
  const ParameterStore store = store_with(Bias::kYes);
  const ParameterSpec &weight = store.find("key.weight")->spec, &bias = store.find("key.bias")->spec;

  EXPECT_EQ(weight.role, Role::kQueryKeyValue);
  EXPECT_EQ(weight.layer, 2);
  EXPECT_EQ(weight.units, (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(weight.decay, Decay::kYes);
  EXPECT_EQ(weight.compute_copy, ComputeCopy::kYes);
  EXPECT_EQ(weight.initializer, Initializer::kNormal);
  EXPECT_EQ(bias.role, Role::kQueryKeyValue);
  EXPECT_EQ(bias.layer, 2);
  EXPECT_EQ(bias.units, (std::vector<std::int64_t>{3}));
  EXPECT_EQ(bias.decay, Decay::kNo);
  EXPECT_EQ(bias.initializer, Initializer::kZeros);
  EXPECT_EQ(store.find("norm.weight")->spec.role, Role::kNorm);
  EXPECT_EQ(store.find("norm.weight")->spec.layer, std::nullopt);
  EXPECT_EQ(store.find("norm.weight")->spec.initializer, Initializer::kOnes);
}

TEST(FindLinear, FusesNeighboursWithAndWithoutBias) {
  for (const Bias bias : {Bias::kYes, Bias::kNo}) {
    const ParameterStore store = store_with(bias);

    const Linear all = find_fused_linear(store, kNames), key = find_linear(store, "key");

    EXPECT_TRUE(at::equal(all.weight.value.narrow(0, 6, 6), key.weight.value));
    EXPECT_EQ(all.weight.compute.scalar_type(), at::kBFloat16);
    EXPECT_TRUE(at::equal(in_full_precision(all).weight.compute, all.weight.value));
    EXPECT_EQ(all.bias.defined(), bias == Bias::kYes);
    EXPECT_EQ(key.bias.defined(), bias == Bias::kYes);
    if (bias == Bias::kYes) {
      EXPECT_TRUE(at::equal(all.bias.value.narrow(0, 6, 6), key.bias.value));
    }
  }
}

TEST(FindLinear, RefusesNeighboursOfWhichOnlySomeHaveABias) {
  ParameterStore store;
  const ParameterDeclaration declare(store, Region::kTokens);
  declare.linear("first", {.role = Role::kOutput, .out = 3, .in = 3, .bias = Bias::kNo});
  declare.linear("second", {.role = Role::kOutput, .out = 3, .in = 3});
  store.allocate(at::kCPU, at::kFloat);

  EXPECT_THROW(find_fused_linear(store, {"first", "second"}), std::invalid_argument);
}

TEST(FindNorm, BringsItsEpsilonAndItsBiasIfThereIsOne) {
  for (const Bias bias : {Bias::kYes, Bias::kNo}) {
    const ParameterStore store = store_with(bias);

    const Norm norm = find_norm(store, "norm", 1e-7);

    EXPECT_EQ(norm.epsilon, 1e-7);
    EXPECT_TRUE(at::equal(norm.weight.value, store.find("norm.weight")->view.value));
    EXPECT_EQ(norm.bias.defined(), bias == Bias::kYes);
  }
}

}  // namespace
}  // namespace meshfold::models
