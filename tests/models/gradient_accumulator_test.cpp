#include "models/gradient_accumulator.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include "dist/reduction_tree.hpp"
#include "dist/single_process_group.hpp"

namespace meshfold::models {
namespace {

class GradientAccumulatorTest : public ::testing::Test {
 protected:
  GradientAccumulatorTest() {
    at::manual_seed(3);
    for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
             {"words", {300, 40}}, {"query", {6, 8}}, {"key", {6, 8}}, {"bias", {9}}}) {
      ParameterSpec spec;
      spec.name = name;
      spec.global_shape = shape;
      store_.add(spec);
    }
    store_.allocate(at::kCPU, at::kFloat);
  }

  at::Tensor slot(const at::Tensor& flat, const char* name) const {
    const Parameter& parameter = *store_.find(name);
    return flat.narrow(0, parameter.view.offset, parameter.num_elements).view(parameter.spec.global_shape);
  }

  /// A whole set added as one pack, so that the order of additions is all that matters.
  void add_pack(GradientAccumulator& accumulator, const at::Tensor& set) const {
    accumulator.begin_pack();
    for (const Parameter& parameter : store_) accumulator.add(parameter.view, slot(set, parameter.spec.name.c_str()));
    accumulator.end_pack();
  }

  ParameterStore store_;
  dist::SingleProcessGroup single_;
};

TEST_F(GradientAccumulatorTest, AddsInTheOrderOfTheReductionTreeForAnyNumberOfPacks) {
  for (std::size_t packs = 1; packs <= 17; ++packs) {
    std::vector<at::Tensor> sets;
    for (std::size_t i = 0; i < packs; ++i) sets.push_back(at::randn({store_.num_elements()}));
    GradientAccumulator accumulator(store_, Summation::kTree);
    for (int step = 0; step < 2; ++step) {  // the second step uses spent sets again
      accumulator.begin_step();
      for (const at::Tensor& set : sets) add_pack(accumulator, set);
      const at::Tensor sum = accumulator.reduce(single_);

      std::vector<at::Tensor> items;
      for (const at::Tensor& set : sets) items.push_back(set.clone());
      dist::reduce_in_tree_order(items, [](at::Tensor& a, const at::Tensor& b) { a.add_(b); });
      EXPECT_TRUE(at::equal(sum, items[0])) << packs << " packs, step " << step;
    }
  }
}

TEST_F(GradientAccumulatorTest, TreeOfEightPacksIsTheTreeOverRanksOfTheirPacks) {
  std::vector<at::Tensor> sets;
  for (int i = 0; i < 8; ++i) sets.push_back(at::randn({store_.num_elements()}));
  const auto sum_of = [&](std::size_t begin, std::size_t end) {
    GradientAccumulator accumulator(store_, Summation::kTree);
    accumulator.begin_step();
    for (std::size_t i = begin; i < end; ++i) add_pack(accumulator, sets[i]);
    return accumulator.reduce(single_).clone();
  };

  EXPECT_TRUE(at::equal(sum_of(0, 8), sum_of(0, 4) + sum_of(4, 8)));
  EXPECT_TRUE(at::equal(sum_of(0, 8), (sum_of(0, 2) + sum_of(2, 4)) + (sum_of(4, 6) + sum_of(6, 8))));
}

TEST_F(GradientAccumulatorTest, SumsProductsRowsAndPlainGradientsOfBothTypes) {
  for (const Summation summation : {Summation::kInOrder, Summation::kTree}) {
    GradientAccumulator accumulator(store_, summation);
    at::Tensor words = at::zeros({300, 40}, at::kDouble), keys = at::zeros({12, 8}, at::kDouble),
               bias = at::zeros({9}, at::kDouble);
    const ParameterView fused = store_.view(std::array<std::string, 2>{"query", "key"});
    accumulator.begin_step();
    for (int pack = 0; pack < 3; ++pack) {
      const at::Tensor rows = at::randn({50, 40}), indices = at::randint(0, 20, {50}, at::kLong);
      const at::Tensor dy = at::randn({31, 12}), x = at::randn({31, 8}), db = at::randn({9});
      const at::Tensor dy16 = dy.to(at::kBFloat16), x16 = x.to(at::kBFloat16);
      accumulator.begin_pack();
      accumulator.add_product(store_.view("key"), dy.slice(1, 6, 12), x);  // alone first, then fused: a slot half begun
      accumulator.add_product(fused, dy16, x16);
      accumulator.add_rows(store_.view("words"), pack == 1 ? indices.to(at::kInt) : indices, rows);
      accumulator.add(store_.view("bias"), db);
      accumulator.end_pack();
      keys.slice(0, 6, 12).add_(at::mm(dy.slice(1, 6, 12).t().to(at::kDouble), x.to(at::kDouble)));
      keys.add_(at::mm(dy16.t().to(at::kDouble), x16.to(at::kDouble)));
      words.index_add_(0, indices, rows.to(at::kDouble));
      bias.add_(db);
    }
    const at::Tensor sum = accumulator.reduce(single_);

    EXPECT_TRUE(at::allclose(slot(sum, "words").to(at::kDouble), words, 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(slot(sum, "query").to(at::kDouble), keys.slice(0, 0, 6), 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(slot(sum, "key").to(at::kDouble), keys.slice(0, 6, 12), 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(slot(sum, "bias").to(at::kDouble), bias, 1e-5, 1e-5));
  }
}

TEST_F(GradientAccumulatorTest, ForgetsTheLastStepEvenWhereNoGradientArrives) {
  for (const Summation summation : {Summation::kInOrder, Summation::kTree}) {
    GradientAccumulator accumulator(store_, summation);
    accumulator.begin_step();
    add_pack(accumulator, at::full({store_.num_elements()}, NAN));
    accumulator.reduce(single_);

    accumulator.begin_step();
    accumulator.begin_pack();
    accumulator.add_product(store_.view("query"), at::ones({2, 6}), at::ones({2, 8}));
    accumulator.end_pack();
    accumulator.begin_pack();  // an empty pack
    accumulator.end_pack();
    const at::Tensor sum = accumulator.reduce(single_);

    EXPECT_EQ(sum.sum().item<float>(), 2.0F * 6 * 8);
    accumulator.begin_step();
    EXPECT_EQ(accumulator.reduce(single_).abs().sum().item<float>(), 0.0F) << "a step without packs";
  }
}

TEST_F(GradientAccumulatorTest, TellsWhatIsCompleteInTheLastPackAloneAndTakesNoMoreOfIt) {
  GradientAccumulator accumulator(store_, Summation::kInOrder);
  std::vector<std::int64_t> told;
  accumulator.on_complete([&](const at::Tensor& sums, std::int64_t first) {
    told.push_back(first);
    EXPECT_EQ(slot(sums, "bias").abs().sum().item<float>(), 0.0F) << "no gradient reached it";
    EXPECT_EQ(slot(sums, "key").sum().item<float>(), 96.0F) << "of both packs";
  });
  const std::int64_t key = store_.find("key")->view.offset;
  accumulator.begin_step();
  for (const PackPlace place : {PackPlace::kInside, PackPlace::kLast}) {
    accumulator.begin_pack(place);
    accumulator.add(store_.view("key"), at::ones({6, 8}));
    accumulator.complete_from(key);
    accumulator.complete_from(key);
    if (place == PackPlace::kInside) accumulator.end_pack();
  }

  EXPECT_EQ(told, std::vector<std::int64_t>{key});
  EXPECT_THROW(accumulator.add(store_.view("key"), at::ones({6, 8})), std::logic_error);
  accumulator.add(store_.view("query"), at::ones({6, 8}));
  accumulator.end_pack();
  EXPECT_EQ(accumulator.sum_packs().sum().item<float>(), 96.0F + 48.0F);
}

TEST_F(GradientAccumulatorTest, AddsRepeatedRowsInOrderWhateverTheThreads) {
  const at::Tensor indices = at::randint(0, 3, {4000}, at::kLong), rows = at::randn({4000, 40});
  std::vector<at::Tensor> sums;
  for (const int threads : {1, 2, 3}) {
    at::set_num_threads(threads);
    GradientAccumulator accumulator(store_, Summation::kInOrder);
    accumulator.begin_step();
    accumulator.begin_pack();
    accumulator.add_rows(store_.view("words"), indices, rows);
    accumulator.end_pack();
    sums.push_back(slot(accumulator.reduce(single_), "words").clone());
  }
  at::set_num_threads(1);

  at::Tensor expected = at::zeros({300, 40});
  for (std::int64_t i = 0; i < 4000; ++i) expected[indices[i].item<std::int64_t>()].add_(rows[i]);
  for (const at::Tensor& sum : sums) EXPECT_TRUE(at::equal(sum, expected));
}

TEST_F(GradientAccumulatorTest, RefusesGradientsOutsideAPackAndRowsOutsideTheTable) {
  GradientAccumulator accumulator(store_, Summation::kInOrder);
  accumulator.begin_step();
  EXPECT_THROW(accumulator.add(store_.view("bias"), at::zeros({9})), std::logic_error);
  accumulator.begin_pack();
  EXPECT_THROW(accumulator.begin_pack(), std::logic_error);
  EXPECT_THROW(accumulator.add(store_.view("bias"), at::zeros({8})), std::invalid_argument);
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{300}}) {
    EXPECT_THROW(accumulator.add_rows(store_.view("words"), at::full({1}, index, at::kLong), at::zeros({1, 40})),
                 std::out_of_range);
  }
}

TEST_F(GradientAccumulatorTest, NormIsThatOfDoublesAndDoesNotDependOnThreads) {
  const at::Tensor gradient = at::randn({store_.num_elements()}) * 1e3;
  at::set_num_threads(1);
  const double one = gradient_norm(store_, gradient);
  at::set_num_threads(3);
  const double three = gradient_norm(store_, gradient);
  at::set_num_threads(1);

  EXPECT_EQ(one, three);
  EXPECT_NEAR(one / gradient.to(at::kDouble).norm().item<double>(), 1.0, 1e-13);
}

}  // namespace
}  // namespace meshfold::models
