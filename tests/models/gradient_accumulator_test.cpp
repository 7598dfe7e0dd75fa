#include "models/gradients/gradient_accumulator.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <stdexcept>

#include "dist/reduction_tree.hpp"
#include "models/reference/gradient_norm.hpp"
#include "tests/models/peak_memory.hpp"

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
};

TEST_F(GradientAccumulatorTest, AddsInTheOrderOfTheReductionTreeForAnyNumberOfPacks) {
  for (std::size_t packs = 1; packs <= 17; ++packs) {
    std::vector<at::Tensor> sets;
    for (std::size_t i = 0; i < packs; ++i) sets.push_back(at::randn({store_.num_elements()}));
    GradientAccumulator accumulator(store_, Summation::kTree);
    for (int step = 0; step < 2; ++step) {  // the second step uses spent sets again
      accumulator.begin_step();
      for (const at::Tensor& set : sets) add_pack(accumulator, set);
      const at::Tensor sum = accumulator.sum_packs();

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
    return accumulator.sum_packs().clone();
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
    const at::Tensor sum = accumulator.sum_packs();

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
    accumulator.sum_packs();

    accumulator.begin_step();
    accumulator.begin_pack();
    accumulator.add_product(store_.view("query"), at::ones({2, 6}), at::ones({2, 8}));
    accumulator.end_pack();
    accumulator.begin_pack();  // an empty pack
    accumulator.end_pack();
    const at::Tensor sum = accumulator.sum_packs();

    EXPECT_EQ(sum.sum().item<float>(), 2.0F * 6 * 8);
    accumulator.begin_step();
    EXPECT_EQ(accumulator.sum_packs().abs().sum().item<float>(), 0.0F) << "a step without packs";
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
    sums.push_back(slot(accumulator.sum_packs(), "words").clone());
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

TEST_F(GradientAccumulatorTest, ForgetsTheRowsOfTheLastStepWhetherOthersOverwriteItsSumsOrNot) {
  for (const Summation summation : {Summation::kInOrder, Summation::kTree}) {
    for (const SumsAre sums : {SumsAre::kOverwritten, SumsAre::kOnlyRead}) {
      GradientAccumulator accumulator(store_, summation, sums);
      for (int step = 0; step < 4; ++step) {
        const at::Tensor indices = at::randint(0, 300, {20}, at::kLong), rows = at::randn({20, 40});
        at::Tensor expected = at::zeros({300, 40});
        accumulator.begin_step();
        accumulator.begin_pack();
        if (step == 2) accumulator.add(store_.view("words"), expected.fill_(0.5));  // a dense one in between
        if (step != 3) {
          accumulator.add_rows(store_.view("words"), indices, rows);
          for (std::int64_t i = 0; i < 20; ++i) expected[indices[i].item<std::int64_t>()].add_(rows[i]);
        }
        accumulator.end_pack();
        const at::Tensor sum = accumulator.sum_packs();

        EXPECT_TRUE(at::equal(slot(sum, "words"), expected)) << "step " << step;
        EXPECT_EQ(slot(sum, "query").abs().sum().item<float>(), 0.0F);
        EXPECT_EQ(gradient_norm(store_, FlatGradient(sum, &accumulator.written())),
                  gradient_norm(store_, FlatGradient(sum)));
        if (sums == SumsAre::kOverwritten) sum.fill_(NAN);  // as an exchange leaves it
      }
    }
  }
}

TEST_F(GradientAccumulatorTest, KnowsWhichBlocksMayBeWrittenWhereSumsAreOnlyRead) {
  const Parameter& words = *store_.find("words");
  for (const Summation summation : {Summation::kInOrder, Summation::kTree}) {
    GradientAccumulator accumulator(store_, summation, SumsAre::kOnlyRead);
    for (const std::int64_t row : {7, 290}) {
      accumulator.begin_step();
      for (int pack = 0; pack < 2; ++pack) {
        accumulator.begin_pack();
        accumulator.add_rows(store_.view("words"), at::full({1}, row + pack, at::kLong), at::ones({1, 40}));
        accumulator.end_pack();
      }
      const at::Tensor sum = accumulator.sum_packs();

      const auto* values = sum.const_data_ptr<float>();
      std::int64_t marked = 0;
      for (std::int64_t i = 0; i < sum.numel(); ++i) {
        const bool may_be_written = accumulator.written().any(i, i + 1);
        EXPECT_TRUE(may_be_written || values[i] == 0.0F) << i;
        marked += may_be_written ? 1 : 0;
      }
      EXPECT_LE(marked, summation == Summation::kInOrder ? 3 * WrittenBlocks::kBlock : sum.numel());
    }
  }
  EXPECT_GT(words.num_elements, 3 * WrittenBlocks::kBlock);
}

/// A store whose first parameter is a table of 100,000 rows, and a step that touches few of them.
std::int64_t growth_of_a_step(double rate_of_table, SumsAre sums) {
  ParameterStore store;
  for (const auto& [name, shape] : std::vector<std::pair<std::string, std::vector<std::int64_t>>>{
           {"words", {100'000, 256}}, {"query", {256, 256}}}) {
    ParameterSpec spec;
    spec.name = name;
    spec.global_shape = shape;
    store.add(spec);
  }
  store.set_rate(0, rate_of_table);
  store.allocate(at::kCPU, at::kFloat);
  const at::Tensor indices = at::arange(0, 100'000, 1'000, at::kLong), rows = at::ones({100, 256});
  return peak_growth([&] {
    GradientAccumulator accumulator(store, Summation::kInOrder, sums);
    for (int step = 0; step < 2; ++step) {
      accumulator.begin_step();
      accumulator.begin_pack();
      accumulator.add_rows(store.view("words"), indices + step, rows);
      accumulator.add(store.view("query"), at::ones({256, 256}));
      accumulator.end_pack();
      const at::Tensor sum = accumulator.sum_packs();
      const double norm = gradient_norm(store, FlatGradient(sum, &accumulator.written()));
      EXPECT_EQ(norm, std::sqrt((rate_of_table > 0 ? 100.0 : 0.0) * 256 + 256 * 256));
    }
  });
}

TEST(GradientAccumulatorMemory, IsThatOfTouchedRowsAndNoneOfFrozenTables) {
  constexpr std::int64_t kTable = 100'000 * 256 * 4;
  growth_of_a_step(1.0, SumsAre::kOnlyRead);  // makes threads and their stacks
  const std::int64_t touched = growth_of_a_step(1.0, SumsAre::kOnlyRead);
  const std::int64_t frozen = growth_of_a_step(0.0, SumsAre::kOnlyRead);
  if (touched < 0 || frozen < 0) GTEST_SKIP() << "no largest resident size to be had here";

  EXPECT_LT(touched, kTable / 20);
  EXPECT_LT(frozen, kTable / 50);
}

TEST_F(GradientAccumulatorTest, NormIsThatOfDoublesAndDoesNotDependOnThreads) {
  const FlatGradient gradient(at::randn({store_.num_elements()}) * 1e3);
  at::set_num_threads(1);
  const double one = gradient_norm(store_, gradient);
  at::set_num_threads(3);
  const double three = gradient_norm(store_, gradient);
  at::set_num_threads(1);

  EXPECT_EQ(one, three);
  EXPECT_NEAR(one / gradient.values.to(at::kDouble).norm().item<double>(), 1.0, 1e-13);
}

}  // namespace
}  // namespace meshfold::models
