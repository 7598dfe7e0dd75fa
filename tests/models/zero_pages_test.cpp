#include "models/gradients/zero_pages.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <stdexcept>

#include "models/gradients/tensor_memory.hpp"
#include "tests/models/peak_memory.hpp"

namespace meshfold::models {
namespace {

constexpr std::int64_t kElements = std::int64_t{16} << 20, kBytes = 4 * kElements;
constexpr std::int64_t kPage = 1024;  // elements

float sum_of(const at::Tensor& values) {
  const auto* first = values.const_data_ptr<float>();
  return std::accumulate(first, first + values.numel(), 0.0F);
}

TEST(ZeroPages, AreZerosThatTakeMemoryOnlyWhereTheyAreWritten) {
  const at::Tensor zeros = zero_pages(kElements, at::kCPU);
  const std::int64_t read = peak_growth([&] { EXPECT_EQ(sum_of(zeros), 0.0F); });
  const std::int64_t written = peak_growth([&] {
    for (std::int64_t i = 0; i < kElements; i += 64 * kPage) zeros.mutable_data_ptr<float>()[i] = 1.0F;
  });
  if (read < 0 || written < 0) GTEST_SKIP() << "no largest resident size to be had here";

  EXPECT_LT(read, kBytes / 50);
  EXPECT_LT(written, kBytes / 64 + kBytes / 50) << "one page in 64";
  EXPECT_EQ(sum_of(zeros), static_cast<float>(kElements / (64 * kPage)));
}

TEST(ZeroPages, AreCountedWholeAndGiveTheirMemoryBack) {
  count_tensor_memory();
  const std::uint64_t before = live_tensor_bytes();
  const std::int64_t growth = peak_growth([&] {
    for (int i = 0; i < 4; ++i) {
      const at::Tensor zeros = zero_pages(kElements / 4, at::kCPU);
      zeros.fill_(1.0F);
      EXPECT_EQ(live_tensor_bytes() - before, static_cast<std::uint64_t>(kBytes / 4));
    }
  });

  EXPECT_EQ(live_tensor_bytes(), before);
  EXPECT_LT(growth, kBytes / 2);
}

TEST(ZeroPages, ThatHoldZerosAgainCanBeReleased) {
  const at::Tensor zeros = zero_pages(kElements + 100, at::kCPU);
  const std::int64_t growth = peak_growth([&] {
    for (int i = 0; i < 3; ++i) {
      at::Tensor third = zeros.narrow(0, i * (kElements / 3), kElements / 3);
      third.fill_(1.0F);
      third.slice(0, 3, third.numel()).zero_();
      release_zeros(zeros);
    }
  });

  EXPECT_LT(growth, kBytes / 2);
  EXPECT_EQ(sum_of(zeros), 9.0F);
}

TEST(ZeroPages, OfNoElementsOrMoreThanThereIsAddressSpace) {
  EXPECT_EQ(zero_pages(0, at::kCPU).numel(), 0);
  EXPECT_THROW(zero_pages(std::int64_t{1} << 60, at::kCPU), std::runtime_error);
}

}  // namespace
}  // namespace meshfold::models
