// What attention takes within a step grows with the length of an input, not with its square.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/models/block_test.hpp"
#include "tests/models/peak_memory.hpp"

namespace meshfold::models::ops {
namespace {

constexpr std::int64_t kHeads = 4, kHeadWidth = 32, kWidth = kHeads * kHeadWidth;

/// Bytes a token that forward and backward of one input need at their peak beyond their operands; -1: not to be had.
std::int64_t peak_bytes_a_token(std::int64_t length, at::ScalarType type) {
  const PackedInput input = pack_of({length});
  const at::Tensor qkv = at::randn({length, 3 * kWidth}).to(type).set_requires_grad(true),
                   dy = at::randn({length, kWidth}).to(type);
  Gradients gradients;
  const std::int64_t bytes = peak_growth([&] {
    attention({.query_key_value = {qkv}}, {.num_heads = kHeads, .head_width = kHeadWidth}, {0.1, 0}, input,
              {Mode::kTraining, kDraws, &gradients})
        .backward(dy);
  });
  return bytes < 0 ? -1 : bytes / length;
}

TEST(AttentionMemory, GrowsWithTheLengthNotWithItsSquare) {
  at::manual_seed(3);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    SCOPED_TRACE(at::toString(type));
    peak_bytes_a_token(512, type);  // makes threads and their stacks
    const std::vector<std::int64_t> lengths = {1024, 2048, 4096};
    std::vector<std::int64_t> bytes;
    for (const std::int64_t length : lengths) {
      bytes.push_back(peak_bytes_a_token(length, type));
      if (bytes.back() < 0) GTEST_SKIP() << "no largest resident size to be had here";
      RecordProperty(std::string(at::toString(type)) + std::to_string(length), std::to_string(bytes.back()));
    }
    const std::int64_t one_score_matrix = lengths.back() * static_cast<std::int64_t>(sizeof(float));
    EXPECT_LT(bytes.back(), one_score_matrix) << "as much as the scores of one head";
    EXPECT_LT(bytes.back(), bytes.front() * 3 / 2) << "more a token at 4,096 tokens than at 1,024";
  }
}

}  // namespace
}  // namespace meshfold::models::ops
