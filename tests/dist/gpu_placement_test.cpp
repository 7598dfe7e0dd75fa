#include "dist/gpu/gpu_placement.hpp"

#include <gtest/gtest.h>

namespace meshfold::dist {
namespace {

RankGpu on(const std::string& host, const std::string& pci_id, int num_visible = 2) {
  return {host, num_visible, 0, pci_id, "H100"};
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST(GpuPlacement, IsFineWhereEachRankHasAGpuOfItsOwn) {
  const std::vector<RankGpu> ranks = {on("a", "0000:17:00.0"), on("a", "0000:65:00.0"), on("b", "0000:17:00.0"),
                                      on("b", "0000:65:00.0")};

  EXPECT_EQ(fault_of(ranks), "");
}

TEST(GpuPlacement, NamesTheRanksThatHaveOneGpuAndWhatToDo) {
  const std::vector<RankGpu> ranks = {on("a", "0000:17:00.0"), on("b", "0000:17:00.0"), on("a", "0000:65:00.0"),
                                      on("a", "0000:17:00.0", 3)};

  const std::string fault = fault_of(ranks);

  EXPECT_TRUE(contains(fault, "ranks 0 and 3 on a have one GPU, 0000:17:00.0 (H100; rank 3 sees 3)")) << fault;
  EXPECT_TRUE(contains(fault, "--gpus-per-task=1")) << fault;
  EXPECT_TRUE(contains(fault, "CUDA_VISIBLE_DEVICES")) << fault;
  EXPECT_EQ(fault.find('\n'), std::string::npos);
}

TEST(GpuPlacement, NamesTheRankThatSeesNone) {
  const std::vector<RankGpu> ranks = {on("a", "0000:17:00.0"), {"b", 0, 0, "", ""}};

  EXPECT_TRUE(contains(fault_of(ranks), "rank 1 on b sees no GPU")) << fault_of(ranks);
}

}  // namespace
}  // namespace meshfold::dist
