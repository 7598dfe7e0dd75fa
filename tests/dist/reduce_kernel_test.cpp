#include "dist/reduce_kernel.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace meshfold::dist {
namespace {

template <typename T>
std::vector<T> reduced(c10::ScalarType type, ReduceOp op, std::vector<T> a, const std::vector<T>& b) {
  find_reduce_kernel(type, op)(a.data(), b.data(), a.size());
  return a;
}

TEST(ReduceKernel, AddsAndComparesEachElementType) {
  using Doubles = std::vector<double>;
  using Longs = std::vector<std::int64_t>;
  using Ints = std::vector<std::int32_t>;

  EXPECT_EQ(reduced<double>(at::kDouble, ReduceOp::kSum, {1, -2}, {0.5, 4}), (Doubles{1.5, 2}));
  EXPECT_EQ(reduced<double>(at::kDouble, ReduceOp::kMin, {1, -2}, {0.5, 4}), (Doubles{0.5, -2}));
  EXPECT_EQ(reduced<std::int64_t>(at::kLong, ReduceOp::kSum, {std::int64_t{1} << 53}, {1}),
            (Longs{(std::int64_t{1} << 53) + 1}));
  EXPECT_EQ(reduced<std::int32_t>(at::kInt, ReduceOp::kMax, {-3, 7}, {2, -9}), (Ints{2, 7}));
}

TEST(ReduceKernel, LetsANaNOnEitherSideThrough) {
  const float nan = std::numeric_limits<float>::quiet_NaN();

  for (const ReduceOp op : {ReduceOp::kSum, ReduceOp::kMax, ReduceOp::kMin}) {
    const auto result = reduced<float>(at::kFloat, op, {nan, 1, 2}, {1, nan, 3});
    EXPECT_TRUE(std::isnan(result[0]));
    EXPECT_TRUE(std::isnan(result[1]));
    EXPECT_FALSE(std::isnan(result[2]));
  }
}

TEST(ReduceKernel, RefusesATypeThatItCannotAdd) {
  EXPECT_THROW(find_reduce_kernel(at::kBFloat16, ReduceOp::kSum), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
