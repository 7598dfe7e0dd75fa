// Attention of first tokens alone against the rows of the whole attention's twin in plain operations, in fp64.
#include <ATen/Parallel.h>

#include "tests/models/block_test.hpp"

namespace meshfold::models::ops {
namespace {

constexpr RelativeBuckets kLogarithmic{.num_buckets = 16, .max_distance = 40};

at::Tensor starts_of(const PackedInput& input) {
  const std::vector<std::int64_t> starts(input.cu_seqlens.begin(), input.cu_seqlens.end() - 1);
  return at::tensor(starts, at::kLong);
}

AttentionConfig of_first_tokens(AttentionConfig config) {
  config.queries = QueryRows::kFirst;
  return config;
}

class FirstRowAttention : public BlockTest {
 protected:
  /// Outputs and gradients against the twin's, whose other rows get no gradient.
  void check(const AttentionConfig& whole) {
    const AttentionConfig config = of_first_tokens(whole);
    const std::int64_t width = config.num_heads * config.head_width;
    input_ = pack_of({1, 7, 8, 64, 25, 150, 3, 1, 65});
    const at::Tensor starts = starts_of(input_), qkv = random({tokens(), 3 * width}), qkv_twin = leaf(qkv);
    const at::Tensor query = input_leaf(qkv.narrow(1, 0, width).index_select(0, starts)),
                     key_value = input_leaf(qkv.narrow(1, width, 2 * width));
    at::Tensor positions, positions_twin;
    const std::int64_t touched = config.has_positions() ? first_row_slots(config.buckets, 150) : 0;
    if (config.has_positions()) {
      const at::Tensor all = random({RelativeSlots(config.buckets, 150).count(), position_width(config)});
      positions = input_leaf(all.narrow(0, 0, touched));
      positions_twin = leaf(all);
    }

    const at::Tensor y =
        attention({.query_key_value = {query, key_value}, .positions = positions}, config, site(), input_, training());

    EXPECT_EQ(y.scalar_type(), GetParam().type);
    const at::Tensor all =
        reference::attention(qkv_twin, positions_twin, whole, attention_masks(config.num_heads), input_);
    compare(y, all.index_select(0, starts));
    const at::Tensor of_query = qkv_twin.grad().narrow(1, 0, width);
    expect_close(query.grad(), of_query.index_select(0, starts), "query gradient");
    EXPECT_EQ(of_query.index_fill(0, starts, 0.0).norm().item<double>(), 0.0);
    expect_close(key_value.grad().narrow(1, 0, width), qkv_twin.grad().narrow(1, width, width), "key gradient");
    expect_close(key_value.grad().narrow(1, width, width), qkv_twin.grad().narrow(1, 2 * width, width),
                 "value gradient");
    if (!positions.defined()) return;
    const at::Tensor of_positions = positions_twin.grad();
    expect_close(positions.grad(), of_positions.narrow(0, 0, touched), "position gradient");
    EXPECT_EQ(of_positions.narrow(0, touched, of_positions.size(0) - touched).norm().item<double>(), 0.0);
  }
};

TEST_P(FirstRowAttention, EqualsRowsOfSoftmaxAttentionForHeadsOfEveryWidth) {
  check({.num_heads = 3, .head_width = 32});
  check({.num_heads = 1, .head_width = 64});
  check({.num_heads = 3, .head_width = 5});
}

TEST_P(FirstRowAttention, EqualsRowsOfDisentangledAttentionWithEveryChoiceOfTerms) {
  check(disentangled(2, 16, kLogarithmic, PositionTerms::kBoth));
  check(disentangled(3, 5, kLogarithmic, PositionTerms::kContentToPosition));
  check(disentangled(2, 8, kLogarithmic, PositionTerms::kPositionToContent));
}

TEST_P(FirstRowAttention, EqualsRowsOfDisentangledAttentionWithOtherBuckets) {
  check(disentangled(2, 8, {.num_buckets = 0, .max_distance = 24}, PositionTerms::kBoth));
  const RelativeBuckets with_gaps{.num_buckets = 16, .max_distance = 10};
  check(disentangled(2, 8, with_gaps, PositionTerms::kBoth));
}

INSTANTIATE_TEST_SUITE_P(Settings, FirstRowAttention, settings(), name_of);

struct Results {
  std::vector<at::Tensor> values;
};

/// Output and gradients of 5 heads of 8 under dropout.
Results attend(const PackedInput& input, Mode mode = Mode::kTraining) {
  at::manual_seed(9);
  const AttentionConfig config = of_first_tokens(disentangled(5, 8, kLogarithmic, PositionTerms::kBoth));
  Gradients gradients;
  const auto leaf = [](at::IntArrayRef shape) { return at::randn(shape).set_requires_grad(true); };
  const std::int64_t slots = first_row_slots(kLogarithmic, longest_input(input));
  const at::Tensor query = leaf({input.num_inputs(), 40}), key_value = leaf({input.num_tokens(), 80}),
                   positions = leaf({slots, 80});
  const at::Tensor y = attention({.query_key_value = {query, key_value}, .positions = positions}, config, {0.1, 2},
                                 input, {mode, kDraws, mode == Mode::kTraining ? &gradients : nullptr});
  if (mode != Mode::kTraining) return {{y}};
  y.backward(at::randn(y.sizes()));
  return {{y.detach(), query.grad(), key_value.grad(), positions.grad()}};
}

void expect_same_bits(const Results& a, const Results& b) {
  ASSERT_EQ(a.values.size(), b.values.size());
  for (std::size_t i = 0; i < a.values.size(); ++i) EXPECT_TRUE(at::equal(a.values[i], b.values[i])) << i;
}

TEST(FirstRowKernels, GiveTheSameBitsOnAnyNumberOfThreadsAndWithEveryInstructionSet) {
  const PackedInput input = pack_of({90, 1, 33, 64, 25, 130, 12});
  at::set_num_threads(1);
  const Results one = attend(input);
  at::set_num_threads(3);
  ASSERT_EQ(at::get_num_threads(), 3);
  expect_same_bits(one, attend(input));
  at::set_num_threads(1);
  for (const auto highest :
       {base::InstructionSet::kAvx512, base::InstructionSet::kAvx2, base::InstructionSet::kPortable}) {
    SCOPED_TRACE(static_cast<int>(highest));
    const base::InstructionLimit limit(highest);
    expect_same_bits(one, attend(input));
  }
}

TEST(FirstRowKernels, GiveARehearsalTheBitsOfTraining) {
  const PackedInput input = pack_of({90, 1, 33});
  EXPECT_TRUE(at::equal(attend(input).values[0], attend(input, Mode::kRehearsal).values[0]));
}

TEST(FirstRowKernels, RunOnAnEmptyPackOnBothBackEnds) {
  const PackedInput empty{at::empty({0}, at::kLong), at::empty({0}, at::kLong), at::empty({0}, at::kLong), {0}, {}, 1};
  const auto check = [&] {
    const Results results = attend(empty);
    EXPECT_EQ(results.values[0].sizes(), (at::IntArrayRef{0, 40}));
    EXPECT_EQ(results.values[3].sizes(), (at::IntArrayRef{0, 80}));
  };
  check();
  const AtenEverywhere aten;
  check();
}

TEST(FirstRowKernels, RefuseWhatTheyCannotCompute) {
  const PackedInput input = pack_of({3, 2});
  const AttentionConfig plain{.num_heads = 2, .head_width = 4, .queries = QueryRows::kFirst},
      config = of_first_tokens(disentangled(2, 4, kLogarithmic, PositionTerms::kBoth));
  const at::Tensor query = at::zeros({2, 8}), key_value = at::zeros({5, 16});
  const auto attend_to = [&](const at::Tensor& q, const at::Tensor& kv, const at::Tensor& positions,
                             const AttentionConfig& c) {
    attention({.query_key_value = {q, kv}, .positions = positions}, c, {}, input, {});
  };
  EXPECT_NO_THROW(attend_to(query, key_value, {}, plain));
  EXPECT_THROW(attend_to(at::zeros({5, 8}), key_value, {}, plain), std::invalid_argument);
  EXPECT_THROW(attend_to(query, at::zeros({2, 16}), {}, plain), std::invalid_argument);
  EXPECT_THROW(attend_to(query, key_value, {}, {.num_heads = 3, .head_width = 4, .queries = QueryRows::kFirst}),
               std::invalid_argument);
  EXPECT_THROW(attend_to(query, key_value, {}, config), std::invalid_argument);
  EXPECT_THROW(attend_to(query, key_value, at::zeros({5, 16}), config), std::invalid_argument);
  EXPECT_NO_THROW(attend_to(query, key_value, at::zeros({3, 16}), config));
  PackedInput with_empty_input = input;
  with_empty_input.cu_seqlens = {0, 5, 5};
  EXPECT_THROW(attention({.query_key_value = {query, key_value}}, plain, {}, with_empty_input, {}),
               std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::models::ops
