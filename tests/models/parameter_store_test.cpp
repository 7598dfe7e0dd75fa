#include "models/parameters/parameter_store.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <array>
#include <stdexcept>

#include "models/parameters/parameter_initialization.hpp"

namespace meshfold::models {
namespace {

ParameterSpec spec(const std::string& name, std::vector<std::int64_t> shape, ComputeCopy copy = ComputeCopy::kNo) {
  ParameterSpec result;
  result.name = name;
  result.global_shape = std::move(shape);
  result.compute_copy = copy;
  return result;
}

ParameterStore make_store(at::ScalarType type = at::kFloat) {
  ParameterStore store;
  store.add(spec("words", {10, 4}));
  for (const char* name : {"query", "key", "value"}) store.add(spec(name, {3, 4}, ComputeCopy::kYes));
  store.add(spec("bias", {5}));
  store.add(spec("dense", {2, 4}, ComputeCopy::kYes));
  store.allocate(at::kCPU, type);
  return store;
}

TEST(ParameterStore, LaysParametersOutWithoutGaps) {
  const ParameterStore store = make_store();

  std::int64_t expected = 0;
  for (const Parameter& parameter : store) {
    EXPECT_EQ(parameter.view.offset, expected);
    EXPECT_EQ(parameter.view.value.data_ptr<float>(), store.flat().data_ptr<float>() + expected);
    expected += parameter.num_elements;
  }
  EXPECT_EQ(store.num_elements(), expected);
  EXPECT_EQ(expected, 40 + 36 + 5 + 8);
}

TEST(ParameterStore, FusesNeighboursInMasterAndComputeCopy) {
  ParameterStore store = make_store(at::kBFloat16);
  store.flat().copy_(at::randn({store.num_elements()}));
  store.refresh_compute_copies();
  const std::array<std::string, 3> names{"query", "key", "value"};

  const ParameterView fused = store.view(names);

  ASSERT_EQ(fused.value.sizes(), (at::IntArrayRef{9, 4}));
  EXPECT_EQ(fused.offset, 40);
  const at::Tensor joined =
      at::cat({store.find("query")->view.value, store.find("key")->view.value, store.find("value")->view.value});
  EXPECT_TRUE(at::equal(fused.value, joined));
  EXPECT_EQ(fused.compute.scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(fused.compute, joined.to(at::kBFloat16)));
}

TEST(ParameterStore, RefreshesEveryCopyAndOnlyThose) {
  ParameterStore store = make_store(at::kBFloat16);
  store.flat().fill_(1.0);
  store.refresh_compute_copies();

  store.flat().fill_(2.5);

  EXPECT_EQ(store.find("dense")->view.compute.sum().item<float>(), 8.0F) << "copies change only when refreshed";
  store.refresh_compute_copies();
  for (const Parameter& parameter : store) {
    EXPECT_EQ(parameter.view.compute.to(at::kFloat).sum().item<float>(),
              2.5F * static_cast<float>(parameter.num_elements));
    EXPECT_EQ(parameter.view.compute.scalar_type() == at::kBFloat16, parameter.spec.compute_copy == ComputeCopy::kYes);
  }
}

TEST(ParameterStore, RefusesRepeatedNamesStrangersAndLateComers) {
  ParameterStore store = make_store(at::kBFloat16);
  ParameterStore open;
  open.add(spec("a", {2}));
  ParameterSpec outside = spec("b", {4, 2});
  outside.box = {{3, 0}, {2, 2}};

  EXPECT_THROW(open.add(spec("a", {3})), std::invalid_argument);
  EXPECT_THROW(open.add(outside), std::invalid_argument);
  EXPECT_THROW(store.add(spec("late", {1})), std::logic_error);
  EXPECT_THROW(store.view("absent"), std::invalid_argument);
  EXPECT_THROW(store.view(std::array<std::string, 2>{"query", "value"}), std::invalid_argument);
  EXPECT_THROW(store.view(std::array<std::string, 2>{"words", "query"}), std::invalid_argument)
      << "only one has a copy";
  EXPECT_EQ(store.find("absent"), nullptr);
}

TEST(ParameterStore, HashSeesOneBitOfOneWeight) {
  ParameterStore store = make_store();
  store.flat().fill_(1.0);
  const std::string before = store.hash();
  EXPECT_EQ(before, store.hash());
  EXPECT_EQ(before.size(), 32U);

  store.flat()[17] = std::nextafter(1.0F, 2.0F);

  EXPECT_NE(before, store.hash());
}

TEST(InitializeParameter, FillsAPieceAsTheWholeWouldBeFilled) {
  ParameterStore whole, piece;
  whole.add(spec("w", {7, 5}));
  ParameterSpec part = spec("w", {7, 5});
  part.box = {{2, 1}, {3, 3}};
  piece.add(part);
  whole.allocate(at::kCPU, at::kFloat);
  piece.allocate(at::kCPU, at::kFloat);

  initialize_parameter(whole[0], 7, 0.02);
  initialize_parameter(piece[0], 7, 0.02);

  EXPECT_TRUE(at::equal(whole[0].view.value.slice(0, 2, 5).slice(1, 1, 4), piece[0].view.value));
}

TEST(InitializeParameter, DrawsANormalThatDependsOnNameAndSeed) {
  ParameterStore store;
  for (const char* name : {"a", "b"}) store.add(spec(name, {200, 500}));
  store.allocate(at::kCPU, at::kFloat);
  initialize_parameter(store[0], 1, 0.02);
  initialize_parameter(store[1], 1, 0.02);
  const at::Tensor a = store[0].view.value.to(at::kDouble) / 0.02, b = store[1].view.value.to(at::kDouble) / 0.02;

  // 100,000 draws: standard errors 0.003 (mean), 0.0022 (deviation), 0.015 (fourth moment), 0.003 (correlation).
  EXPECT_NEAR(a.mean().item<double>(), 0.0, 0.015);
  EXPECT_NEAR(a.std().item<double>(), 1.0, 0.011);
  EXPECT_NEAR(a.pow(4).mean().item<double>(), 3.0, 0.16);
  EXPECT_NEAR((a * b).mean().item<double>(), 0.0, 0.016);
  const at::Tensor first = store[0].view.value.clone();
  initialize_parameter(store[0], 2, 0.02);
  EXPECT_FALSE(at::equal(first, store[0].view.value));
}

}  // namespace
}  // namespace meshfold::models
