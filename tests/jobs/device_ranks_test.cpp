#include "jobs/run/device.hpp"

#include <gtest/gtest.h>

#include "dist/mpi_process_group.hpp"
#include "jobs/error.hpp"
#include "tests/dist/fake_gpu.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::jobs {
namespace {

using tests::FakeGpu, tests::rank_environment;

class ChooseDevice : public testing::Test {
 protected:
  std::unique_ptr<dist::GroupMaker> choose(DeviceChoice choice) {
    const dist::GpuLibraries libraries = gpu_.libraries();
    return choose_device(choice, &libraries, *world_, rank_environment());
  }
  std::string refusal(DeviceChoice choice) {
    try {
      choose(choice);
    } catch (const ConfigError& error) {
      return error.what();
    }
    return "";
  }

  std::unique_ptr<dist::ProcessGroup> world_ = dist::make_mpi_process_group(rank_environment().world(), "world");
  FakeGpu gpu_{*rank_environment().world()};
};

TEST_F(ChooseDevice, AutoTakesGpusWhereEveryRankHasOne) {
  const auto groups = choose(DeviceChoice::kAuto);

  ASSERT_NE(groups, nullptr);
  EXPECT_TRUE(groups->device().is_cuda());
}

TEST_F(ChooseDevice, AutoStaysOnTheCpuWhereNoRankSeesAGpu) {
  gpu_.devices.clear();

  EXPECT_EQ(choose(DeviceChoice::kAuto), nullptr);
  EXPECT_NE(refusal(DeviceChoice::kCuda).find("run.device = cuda: rank 0 on"), std::string::npos);
}

TEST_F(ChooseDevice, AutoDoesNotLeaveSomeRanksWithoutAGpuInSilence) {
  if (world_->rank() == 1) gpu_.devices.clear();

  EXPECT_NE(refusal(DeviceChoice::kAuto).find("run.device = auto: rank 1 on"), std::string::npos);
}

TEST_F(ChooseDevice, RefusesOneGpuForTwoRanksBeforeNcclIsAskedForAnything) {
  gpu_.devices.at(0).pci_id = "0000:17:00.0";

  const std::string message = refusal(DeviceChoice::kCuda);

  EXPECT_NE(message.find("ranks 0 and 1 on"), std::string::npos) << message;
  EXPECT_NE(message.find("0000:17:00.0"), std::string::npos) << message;
  EXPECT_EQ(gpu_.num_made, 0);
}

TEST_F(ChooseDevice, CpuLooksAtNoGpu) {
  EXPECT_EQ(choose(DeviceChoice::kCpu), nullptr);
  EXPECT_EQ(gpu_.current_device, -1);
}

TEST_F(ChooseDevice, CudaInABuildWithoutItSaysWhatWasBuilt) {
  EXPECT_EQ(choose_device(DeviceChoice::kAuto, nullptr, *world_, rank_environment()), nullptr);
  EXPECT_THROW(choose_device(DeviceChoice::kCuda, nullptr, *world_, rank_environment()), ConfigError);
}

}  // namespace
}  // namespace meshfold::jobs
