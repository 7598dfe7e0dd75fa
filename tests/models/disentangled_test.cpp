// DeBERTa's attention and its relative embeddings against their twins in plain operations, in fp64.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include "models/ops/embed.hpp"
#include "models/ops/norm.hpp"
#include "tests/models/block_test.hpp"
#include "tests/models/peak_memory.hpp"

namespace meshfold::models::ops {
namespace {

constexpr RelativeBuckets kLogarithmic{.num_buckets = 16, .max_distance = 40};
constexpr RelativeBuckets kEveryDistance{.num_buckets = 0, .max_distance = 24};

class Disentangled : public BlockTest {
 protected:
  /// Outputs and both gradients against the twin's, on a pack with inputs shorter and longer than a block of queries.
  void check(const AttentionConfig& config) {
    const std::int64_t width = config.num_heads * config.head_width;
    input_ = pack_of({1, 7, 8, 64, 25, 150, 3, 65});
    const at::Tensor qkv = input_leaf(random({tokens(), 3 * width})), qkv_twin = leaf(qkv);
    at::Tensor positions, positions_twin;
    if (config.has_positions()) {
      positions = input_leaf(random({RelativeSlots(config.buckets, 150).count(), position_width(config)}));
      positions_twin = leaf(positions);
    }

    const at::Tensor y =
        attention({.query_key_value = {qkv}, .positions = positions}, config, site(), input_, training());

    EXPECT_EQ(y.scalar_type(), GetParam().type);
    compare(y, reference::attention(qkv_twin, positions_twin, config, attention_masks(config.num_heads), input_));
    const char* const names[] = {"query gradient", "key gradient", "value gradient"};
    for (int i = 0; i < 3; ++i)
      expect_close(qkv.grad().narrow(1, i * width, width), qkv_twin.grad().narrow(1, i * width, width), names[i]);
    if (positions.defined()) expect_close(positions.grad(), positions_twin.grad(), "position gradient");
  }
};

TEST_P(Disentangled, EqualsItsTwinForHeadsOfEveryWidth) {
  struct Heads {
    std::int64_t count, width;
  };
  for (const Heads heads : {Heads{3, 16}, Heads{1, 64}, Heads{5, 3}}) {
    SCOPED_TRACE(heads.width);
    check(disentangled(heads.count, heads.width, kLogarithmic, PositionTerms::kBoth));
  }
}

TEST_P(Disentangled, EqualsItsTwinWithEitherTermAndWithNone) {
  check(disentangled(2, 8, kLogarithmic, PositionTerms::kContentToPosition));
  check(disentangled(2, 8, kLogarithmic, PositionTerms::kPositionToContent));
  check(disentangled(2, 8, kLogarithmic, PositionTerms::kNone));
}

TEST_P(Disentangled, EqualsItsTwinWithoutBucketsBeyondTheLargestDistance) {
  check(disentangled(2, 8, kEveryDistance, PositionTerms::kBoth));
}

TEST_P(Disentangled, EqualsItsTwinWhereBucketsLeaveSlotsOut) {
  const RelativeBuckets with_gaps{.num_buckets = 16, .max_distance = 10};
  ASSERT_FALSE(RelativeSlots(with_gaps, 150).rises_one_by_one());
  check(disentangled(2, 8, with_gaps, PositionTerms::kBoth));
}

TEST_P(Disentangled, RelativeEmbeddingsEqualTheirTwinWithAndWithoutNorm) {
  constexpr std::int64_t kWidth = 28;
  const SlotRows rows{5, 20};
  for (const bool normalised : {true, false}) {
    SCOPED_TRACE(normalised);
    const ParameterView table = parameter(at::randn({32, kWidth}));
    const Norm after = make_norm(kWidth);
    const Twin twin = twin_of(after);
    const at::Tensor table_twin = leaf(table.value), chosen = table_twin.narrow(0, rows.first, rows.count);
    at::Tensor expected = chosen;
    if (normalised) {
      expected = reference::add_norm(at::zeros_like(chosen), chosen, twin.weight, twin.bias, kEpsilon, {});
    }
    if (GetParam().dropout > 0.0) expected = expected * reference::slot_dropout_mask(kWidth, rows, site(), kDraws);

    at::Tensor y = relative_embeddings(table, rows, training());
    if (normalised) y = norm(y, after, /*dropout=*/{}, input_, training());
    y = dropout_slots(y, rows, site(), training());

    compare(y, expected);
    expect_close(gradients_.of(table), table_twin.grad(), "table gradient");
    if (normalised) expect_gradients(after, twin, "norm");
  }
}

INSTANTIATE_TEST_SUITE_P(Settings, Disentangled, settings(), name_of);

struct Results {
  at::Tensor output, qkv_gradient, position_gradient;
};

/// fp32, dropout on, 5 heads of 8.
Results attend(const PackedInput& input, const at::Tensor& qkv_values, const at::Tensor& position_values,
               const at::Tensor& dy) {
  const AttentionConfig config = disentangled(5, 8, kLogarithmic, PositionTerms::kBoth);
  Gradients gradients;
  const at::Tensor qkv = qkv_values.clone().set_requires_grad(true);
  const at::Tensor positions = position_values.clone().set_requires_grad(true);
  const at::Tensor y = attention({.query_key_value = {qkv}, .positions = positions}, config, {0.1, 2}, input,
                                 {Mode::kTraining, kDraws, &gradients});
  y.backward(dy);
  return {y.detach(), qkv.grad(), positions.grad()};
}

/// The same for a fixed pack.
Results attend() {
  at::manual_seed(9);
  const PackedInput input = pack_of({90, 1, 33, 64, 25, 130, 12});
  const std::int64_t tokens = input.num_tokens(), slots = RelativeSlots(kLogarithmic, 130).count();
  return attend(input, at::randn({tokens, 120}), at::randn({slots, 80}), at::randn({tokens, 40}));
}

void expect_same_bits(const Results& a, const Results& b) {
  EXPECT_TRUE(at::equal(a.output, b.output));
  EXPECT_TRUE(at::equal(a.qkv_gradient, b.qkv_gradient));
  EXPECT_TRUE(at::equal(a.position_gradient, b.position_gradient));
}

TEST(DisentangledKernels, GiveTheSameBitsOnAnyNumberOfThreads) {
  at::set_num_threads(1);
  const Results one = attend();
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    ASSERT_EQ(at::get_num_threads(), threads);
    expect_same_bits(one, attend());
  }
  at::set_num_threads(1);
}

TEST(DisentangledKernels, GiveTheSameBitsWithAndWithoutAvx2) {
  if (!base::has_avx2()) GTEST_SKIP() << "this CPU has no AVX2";
  const base::InstructionLimit avx2(
      base::InstructionSet::kAvx2);  // AVX-512 has its own small products, with fused multiply-adds
  const Results fastest = attend();
  const base::PortableKernels portable;
  ASSERT_FALSE(base::has_avx2());
  expect_same_bits(fastest, attend());
}

TEST(DisentangledKernels, GiveAnInputTheSameResultsAloneAndInAPack) {
  at::manual_seed(10);
  const std::vector<std::int64_t> lengths = {20, 130, 1, 70};
  const PackedInput whole = pack_of(lengths);
  const std::int64_t tokens = whole.num_tokens();
  const at::Tensor qkv = at::randn({tokens, 120}), dy = at::randn({tokens, 40});
  const RelativeSlots slots(kLogarithmic, 130);
  const at::Tensor table = at::randn({2 * kLogarithmic.span(), 80});

  const Results together = attend(whole, qkv, table.narrow(0, slots.first(), slots.count()), dy);

  at::Tensor sum = at::zeros_like(table);
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const std::int64_t first = whole.cu_seqlens[s], length = lengths[s];
    PackedInput one = pack_of({length});
    one.philox_rows = {whole.philox_rows[s]};
    const RelativeSlots own(kLogarithmic, length);
    const Results alone = attend(one, qkv.narrow(0, first, length), table.narrow(0, own.first(), own.count()),
                                 dy.narrow(0, first, length));
    EXPECT_LE((alone.output - together.output.narrow(0, first, length)).abs().max().item<double>(), 1e-6);
    EXPECT_LE((alone.qkv_gradient - together.qkv_gradient.narrow(0, first, length)).abs().max().item<double>(), 1e-5);
    sum.narrow(0, own.first(), own.count()).add_(alone.position_gradient);
  }
  const at::Tensor expected = sum.narrow(0, slots.first(), slots.count());
  EXPECT_LE((together.position_gradient - expected).norm().item<double>(), 1e-6 * expected.norm().item<double>());
}

TEST(DisentangledKernels, NeedMemoryInProportionToTheLength) {
  const AttentionConfig config = disentangled(2, 16, {.num_buckets = 64, .max_distance = 512}, PositionTerms::kBoth);
  Gradients gradients;
  const auto growth = [&](std::int64_t length) {
    const PackedInput input = pack_of({length});
    const at::Tensor qkv = at::randn({length, 3 * 32}).set_requires_grad(true);
    const std::int64_t slots = RelativeSlots(config.buckets, length).count();
    const at::Tensor positions = at::randn({slots, 64}).set_requires_grad(true), dy = at::randn({length, 32});
    return peak_growth([&] {
      attention({.query_key_value = {qkv}, .positions = positions}, config, {0.1, 0}, input,
                {Mode::kTraining, kDraws, &gradients})
          .backward(dy);
    });
  };
  growth(4096);  // first use of the libraries
  const std::int64_t at_512 = growth(512), at_4096 = growth(4096);
  if (at_512 < 0 || at_4096 < 0) GTEST_SKIP() << "no largest resident size to be had here";
  RecordProperty("bytes_a_token_at_512", std::to_string(at_512 / 512));
  RecordProperty("bytes_a_token_at_4096", std::to_string(at_4096 / 4096));
  // Scores of 4,096 x 4,096 would be 67 MB a head.
  EXPECT_LE(at_4096, std::max<std::int64_t>(12 * at_512, 30'000'000));
}

/// Several strips of queries, several inputs of one length, a pack of more tokens than are computed together.
TEST(DisentangledInLibTorch, EqualsTheKernelsOnLongInputsAndManyOfOneLength) {
  at::manual_seed(11);
  std::vector<std::int64_t> lengths = {300, 7, 520, 300};
  lengths.insert(lengths.end(), 250, 20);
  const PackedInput input = pack_of(lengths);
  const std::int64_t tokens = input.num_tokens(), slots = RelativeSlots(kLogarithmic, 520).count();
  const at::Tensor qkv = at::randn({tokens, 120}), positions = at::randn({slots, 80}), dy = at::randn({tokens, 40});
  const auto expect_near = [](const at::Tensor& a, const at::Tensor& b, const char* what) {
    EXPECT_LE((a - b).norm().item<double>(), 1e-6 * b.norm().item<double>()) << what;
  };

  const Results kernels = attend(input, qkv, positions, dy);
  const AtenEverywhere aten;
  const Results results = attend(input, qkv, positions, dy);

  expect_near(results.output, kernels.output, "output");
  expect_near(results.qkv_gradient, kernels.qkv_gradient, "gradient of query, key and value");
  expect_near(results.position_gradient, kernels.position_gradient, "gradient of the positions");
  expect_same_bits(results, attend(input, qkv, positions, dy));
}

TEST(DisentangledInLibTorch, RunsOnAnEmptyPack) {
  const AtenEverywhere aten;
  const PackedInput empty{at::empty({0}, at::kLong), at::empty({0}, at::kLong), at::empty({0}, at::kLong), {0}, {}, 1};
  const Results results = attend(empty, at::empty({0, 120}), at::empty({0, 80}), at::empty({0, 40}));
  EXPECT_EQ(results.output.sizes(), (at::IntArrayRef{0, 40}));
  EXPECT_EQ(results.position_gradient.sizes(), (at::IntArrayRef{0, 80}));
}

TEST(DisentangledKernels, RunOnAnEmptyPack) {
  const PackedInput empty{at::empty({0}, at::kLong), at::empty({0}, at::kLong), at::empty({0}, at::kLong), {0}, {}, 1};
  const Results results = attend(empty, at::empty({0, 120}), at::empty({0, 80}), at::empty({0, 40}));
  EXPECT_EQ(results.output.sizes(), (at::IntArrayRef{0, 40}));
  EXPECT_EQ(results.position_gradient.sizes(), (at::IntArrayRef{0, 80}));
}

TEST(DisentangledKernels, RefuseWhatTheyCannotCompute) {
  const PackedInput input = pack_of({3, 2});
  const AttentionConfig config = disentangled(2, 4, kLogarithmic, PositionTerms::kBoth);
  const auto attend_to = [&](const at::Tensor& qkv, const at::Tensor& positions) {
    attention({.query_key_value = {qkv}, .positions = positions}, config, {}, input, {});
  };
  const at::Tensor qkv = at::zeros({5, 24});
  EXPECT_NO_THROW(attend_to(qkv, at::zeros({5, 16})));
  EXPECT_THROW(attend_to(qkv, at::zeros({4, 16})), std::invalid_argument);
  EXPECT_THROW(attend_to(qkv, at::zeros({5, 8})), std::invalid_argument);
  EXPECT_THROW(attend_to(qkv, at::zeros({5, 16}, at::kBFloat16)), std::invalid_argument);
  EXPECT_THROW(attend_to(qkv, {}), std::invalid_argument);
  EXPECT_THROW(attend_to(at::zeros({5, 21}), at::zeros({5, 16})), std::invalid_argument);
  EXPECT_THROW(RelativeSlots({.num_buckets = 1, .max_distance = 40}, 3), std::invalid_argument);
  EXPECT_THROW(RelativeSlots({.num_buckets = 16, .max_distance = 9}, 3), std::invalid_argument);
}

TEST(RelativeSlots, AreThoseThatTheInputTouches) {
  const RelativeSlots slots(kLogarithmic, 5);

  EXPECT_EQ(slots.first(), 12);
  EXPECT_EQ(slots.count(), 9);
  for (std::int64_t distance = -4; distance <= 4; ++distance) EXPECT_EQ(slots.slot(distance), distance + 4);
  EXPECT_EQ(slots.of_query(3)[1], slots.slot(2));
  EXPECT_EQ(slots.from_distance(-4)[8], slots.slot(4));
  EXPECT_EQ(RelativeSlots(kLogarithmic, 1000).count(), 32);
  EXPECT_TRUE(RelativeSlots(kLogarithmic, 1000).rises_one_by_one());
}

}  // namespace
}  // namespace meshfold::models::ops
