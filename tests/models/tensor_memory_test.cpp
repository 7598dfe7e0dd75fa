#include "models/gradients/tensor_memory.hpp"

#include <ATen/ops/empty.h>
#include <gtest/gtest.h>

namespace meshfold::models {
namespace {

constexpr std::uint64_t kBytes = 4 << 20, kSlack = 4096;  // alignment and the allocator's own words

at::Tensor four_mebibytes() { return at::empty({1 << 20}, at::kFloat); }

TEST(TensorMemory, CountsWhatIsAliveAndTheMostAtOnce) {
  count_tensor_memory();
  const std::uint64_t before = live_tensor_bytes();
  restart_tensor_peak();

  const at::Tensor kept = four_mebibytes();
  { const at::Tensor one = four_mebibytes(), two = four_mebibytes(); }

  EXPECT_NEAR(static_cast<double>(live_tensor_bytes() - before), kBytes, kSlack);
  EXPECT_NEAR(static_cast<double>(peak_tensor_bytes() - before), 3 * kBytes, 3 * kSlack);
}

TEST(TensorMemory, APeakThatIsRestartedBeginsWithWhatIsAlive) {
  count_tensor_memory();
  { const at::Tensor gone = four_mebibytes(); }

  restart_tensor_peak();

  EXPECT_EQ(peak_tensor_bytes(), live_tensor_bytes());
}

}  // namespace
}  // namespace meshfold::models
