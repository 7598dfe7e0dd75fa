// Attention with shared keys and values, masks and soft caps against its twin in plain operations, in fp64.
#include "models/ops/attention.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/ops/aten/attention.hpp"
#include "tests/models/block_test.hpp"

namespace meshfold::models::ops {
namespace {

constexpr RelativeBuckets kBuckets{.num_buckets = 16, .max_distance = 40};

std::int64_t kv_width(const AttentionConfig& config) { return config.kv_heads() * config.head_width; }
std::int64_t query_width(const AttentionConfig& config) { return config.num_heads * config.head_width; }

at::Tensor starts_of(const PackedInput& input) {
  const std::vector<std::int64_t> starts(input.cu_seqlens.begin(), input.cu_seqlens.end() - 1);
  return at::tensor(starts, at::kLong);
}

class Attention : public BlockTest {
 protected:
  /// Outputs and gradients against the twin's, with query, key and value in so many tensors.
  void check(const AttentionConfig& config, int num_tensors) {
    SCOPED_TRACE(num_tensors);
    const std::int64_t query = query_width(config), kv = kv_width(config);
    const at::Tensor all = random({tokens(), query + 2 * kv}), twin = leaf(all);
    std::vector<std::int64_t> widths = {query, kv, kv};
    if (num_tensors == 1) widths = {query + 2 * kv};
    if (num_tensors == 2) widths = {query, 2 * kv};
    AttentionInputs inputs;
    for (const at::Tensor& rows : all.split_with_sizes(widths, 1)) inputs.query_key_value.push_back(input_leaf(rows));
    at::Tensor positions_twin;
    if (config.has_positions()) {
      const std::int64_t slots = RelativeSlots(config.buckets, longest_input(input_)).count();
      inputs.positions = input_leaf(random({slots, position_width(config)}));
      positions_twin = leaf(inputs.positions);
    }

    const at::Tensor y = attention(inputs, config, site(), input_, training());

    EXPECT_EQ(y.scalar_type(), GetParam().type);
    compare(y, reference::attention(twin, positions_twin, config, attention_masks(config.num_heads), input_));
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& rows : inputs.query_key_value) gradients.push_back(rows.grad());
    const at::Tensor gradient = at::cat(gradients, 1);
    expect_close(gradient.narrow(1, 0, query), twin.grad().narrow(1, 0, query), "query gradient");
    expect_close(gradient.narrow(1, query, kv), twin.grad().narrow(1, query, kv), "key gradient");
    expect_close(gradient.narrow(1, query + kv, kv), twin.grad().narrow(1, query + kv, kv), "value gradient");
    if (inputs.positions.defined()) expect_close(inputs.positions.grad(), positions_twin.grad(), "position gradient");
  }

  /// The same for the queries of first tokens, which are rows of the twin's.
  void check_first_tokens(AttentionConfig config) {
    const std::int64_t query_columns = query_width(config), kv = kv_width(config);
    const at::Tensor starts = starts_of(input_), all = random({tokens(), query_columns + 2 * kv}), twin = leaf(all);
    const at::Tensor query = input_leaf(all.narrow(1, 0, query_columns).index_select(0, starts)),
                     key_value = input_leaf(all.narrow(1, query_columns, 2 * kv));
    const at::Tensor expected = reference::attention(twin, {}, config, attention_masks(config.num_heads), input_);
    config.queries = QueryRows::kFirst;

    const at::Tensor y = attention({.query_key_value = {query, key_value}}, config, site(), input_, training());

    compare(y, expected.index_select(0, starts));
    expect_close(query.grad(), twin.grad().narrow(1, 0, query_columns).index_select(0, starts), "query gradient");
    expect_close(key_value.grad(), twin.grad().narrow(1, query_columns, 2 * kv), "gradient of key and value");
  }
};

TEST_P(Attention, EqualsItsTwinWhereHeadsShareKeysAndValues) {
  for (const int num_tensors : {1, 2, 3}) {
    check({.num_heads = 6, .num_kv_heads = 2, .head_width = 8}, num_tensors);
  }
  check({.num_heads = 4, .num_kv_heads = 1, .head_width = 5}, 3);
  check({.num_heads = 4, .num_kv_heads = 4, .head_width = 8}, 3);
}

TEST_P(Attention, EqualsItsTwinUnderMasks) {
  check({.num_heads = 3, .head_width = 8, .mask = AttentionMask::kCausal}, 1);
  for (const std::int64_t window : {2, 9, 70, 1000}) {
    SCOPED_TRACE(window);
    check({.num_heads = 3, .head_width = 8, .mask = AttentionMask::kWindow, .window = window}, 1);
  }
}

TEST_P(Attention, EqualsItsTwinUnderASoftCap) {
  check({.num_heads = 3, .head_width = 8, .soft_cap = 1.5}, 1);
  check({.num_heads = 3, .head_width = 8, .scale = 1.0, .mask = AttentionMask::kCausal, .soft_cap = 2.0}, 1);
}

/// Strips of queries begin in the middle of this input.
TEST_P(Attention, EqualsItsTwinOnAnInputOfSeveralStrips) {
  input_ = pack_of({530, 3});
  check({.num_heads = 2,
         .num_kv_heads = 1,
         .head_width = 8,
         .scale = 0.2,
         .mask = AttentionMask::kWindow,
         .window = 40,
         .soft_cap = 2.0},
        3);
  check({.num_heads = 2, .head_width = 8, .mask = AttentionMask::kCausal}, 1);
}

TEST_P(Attention, EqualsItsTwinWithPositionsUnderAMask) {
  AttentionConfig config = disentangled(4, 8, kBuckets, PositionTerms::kBoth);
  config.num_kv_heads = 2;
  config.mask = AttentionMask::kCausal;
  config.soft_cap = 3.0;
  check(config, 3);
}

TEST_P(Attention, OfFirstTokensEqualsItsRowsOfTheTwin) {
  check_first_tokens({.num_heads = 4, .num_kv_heads = 2, .head_width = 8});
  check_first_tokens({.num_heads = 3, .head_width = 8, .soft_cap = 1.5});
}

INSTANTIATE_TEST_SUITE_P(Settings, Attention, settings(), name_of);

TEST(AttentionKernels, OfLibTorchComputeWhatTheKernelsOfHostMemoryDoNot) {
  const PackedInput input = pack_of({3, 2});
  const auto takes_libtorch = [&](const AttentionConfig& config) {
    const std::int64_t columns = query_width(config) + 2 * kv_width(config);
    const AttentionProblem problem =
        attention_problem({.query_key_value = {at::zeros({5, columns})}}, config, {}, input, {});
    return kernels_for(problem).forward == aten::attention().forward;
  };
  EXPECT_FALSE(takes_libtorch({.num_heads = 2, .head_width = 4}));
  EXPECT_FALSE(takes_libtorch({.num_heads = 2, .num_kv_heads = 2, .head_width = 4, .scale = 3.0}));
  EXPECT_TRUE(takes_libtorch({.num_heads = 2, .num_kv_heads = 1, .head_width = 4}));
  EXPECT_TRUE(takes_libtorch({.num_heads = 2, .head_width = 4, .mask = AttentionMask::kCausal}));
  EXPECT_TRUE(takes_libtorch({.num_heads = 2, .head_width = 4, .mask = AttentionMask::kWindow, .window = 2}));
  EXPECT_TRUE(takes_libtorch({.num_heads = 2, .head_width = 4, .soft_cap = 1.0}));
  const AtenEverywhere aten;
  EXPECT_TRUE(takes_libtorch({.num_heads = 2, .head_width = 4}));
}

/// What attention says; empty if it computes.
std::string refusal(const std::vector<at::Tensor>& query_key_value, const AttentionConfig& config,
                    const at::Tensor& positions = {}) {
  try {
    attention({.query_key_value = query_key_value, .positions = positions}, config, {}, pack_of({3, 2}), {});
    return "";
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
}

TEST(Attention, RefusesInASentenceWhatItCannotCompute) {
  const AttentionConfig config{.num_heads = 2, .head_width = 4};
  const at::Tensor qkv = at::zeros({5, 24});
  EXPECT_EQ(refusal({qkv}, config), "");
  EXPECT_EQ(refusal({}, config), "attention: query, key and value are missing");
  EXPECT_EQ(refusal({at::zeros({5, 12})}, {.num_heads = 3, .head_width = 1}),
            "attention: rows of 12 columns are not query, key and value of 3 heads of 1 columns");
  EXPECT_EQ(refusal({at::zeros({5, 7}), at::zeros({5, 17})}, config),
            "attention: rows of 7 and 17 columns are not query, key and value of 2 heads of 4 columns");
  EXPECT_EQ(refusal({at::zeros({5, 8}), at::zeros({5, 8})}, config),
            "attention: rows of 8 and 8 columns are not query, key and value of 2 heads of 4 columns");
  EXPECT_EQ(refusal({qkv}, {.num_heads = 3, .num_kv_heads = 2, .head_width = 4}),
            "attention: there cannot be 3 heads of 4 columns and 2 key/value heads");
  EXPECT_EQ(refusal({qkv}, {.num_heads = 2}), "attention: there cannot be 2 heads of 0 columns");
  EXPECT_EQ(refusal({at::zeros({4, 24})}, config),
            "attention: there are 4 queries, 4 keys and 4 values for 5 queries of 5 tokens");
  EXPECT_EQ(refusal({at::zeros({5, 8}), at::zeros({5, 16}, at::kBFloat16)}, config),
            "attention: query, key and value are of different types");
  EXPECT_EQ(refusal({qkv}, {.num_heads = 2, .head_width = 4, .mask = AttentionMask::kWindow}),
            "attention: a window of 0 keys shows a query nothing");
  EXPECT_EQ(refusal({qkv}, {.num_heads = 2, .head_width = 4, .soft_cap = -1.0}),
            "attention: scores cannot be capped at -1.000000");
  EXPECT_EQ(refusal({qkv}, config, at::zeros({5, 8})),
            "attention: rows of 8 columns are not the positions of 0 terms of 2 heads of 4 columns");
  EXPECT_EQ(refusal({qkv}, disentangled(2, 4, kBuckets, PositionTerms::kContentToPosition), at::zeros({4, 8})),
            "attention: positions must be those of the 5 slots that the pack touches, not 4");
}

}  // namespace
}  // namespace meshfold::models::ops
