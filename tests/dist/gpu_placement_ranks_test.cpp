#include "dist/gpu/gpu_placement.hpp"

#include <gtest/gtest.h>

#include "dist/error.hpp"
#include "dist/mesh.hpp"
#include "dist/mpi_process_group.hpp"
#include "tests/dist/fake_gpu.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::FakeGpu, tests::rank_environment;

/// Ranks of one machine that each see a device of their own, unless a test says otherwise.
class GpusOfRanks : public testing::Test {
 protected:
  std::vector<RankGpu> choose() {
    return choose_gpus(*world_, gpu_, rank_environment().host_name(), rank_environment().local_rank());
  }
  void show(int num_devices) {
    gpu_.devices.clear();
    for (int i = 0; i < num_devices; ++i) {
      gpu_.devices.push_back({"Fake GPU", "0000:0" + std::to_string(i) + ":00.0", 0, 0});
    }
  }

  std::unique_ptr<ProcessGroup> world_ = make_mpi_process_group(rank_environment().world(), "world");
  int rank_ = world_->rank(), size_ = world_->size();
  FakeGpu gpu_{*rank_environment().world()};
};

TEST_F(GpusOfRanks, AreTheFirstWhereEachRankIsShownOne) {
  const auto ranks = choose();

  for (int r = 0; r < size_; ++r) {
    EXPECT_EQ(ranks.at(static_cast<std::size_t>(r)).device, 0);
    EXPECT_EQ(ranks.at(static_cast<std::size_t>(r)).pci_id, "0000:" + std::to_string(10 + r) + ":00.0");
  }
  EXPECT_EQ(fault_of(ranks), "");
}

TEST_F(GpusOfRanks, AreTakenByLocalRankWhereAllAreShown) {
  show(size_ + 1);

  const auto ranks = choose();

  for (int r = 0; r < size_; ++r) EXPECT_EQ(ranks.at(static_cast<std::size_t>(r)).device, r);
  EXPECT_EQ(fault_of(ranks), "");
}

TEST_F(GpusOfRanks, AreAFaultWhereRanksOutnumberThem) {
  if (size_ == 1) GTEST_SKIP() << "needs two ranks";
  show(size_ - 1);

  const std::string fault = fault_of(choose());

  EXPECT_NE(fault.find("ranks 0 and " + std::to_string(size_ - 1) + " on "), std::string::npos) << fault;
}

TEST_F(GpusOfRanks, ThatCannotBeAskedFailOnAllRanks) {
  class Broken final : public GpuRuntime {
   public:
    int num_devices() override { throw CudaError("cudaGetDeviceCount failed: driver too old"); }
    GpuDescription describe(int) override { return {}; }
    void use_device(int) override {}
    GpuStream* make_stream() override { return nullptr; }
    void destroy(GpuStream*) noexcept override {}
    GpuStream* compute_stream() override { return nullptr; }
    void launch(GpuStream*, std::function<void()>) override {}
    GpuEvent* make_event() override { return nullptr; }
    void destroy(GpuEvent*) noexcept override {}
    void record(GpuEvent*, GpuStream*) override {}
    void wait(GpuStream*, GpuEvent*) override {}
    bool has_happened(GpuEvent*) override { return true; }
  } broken;
  GpuRuntime& own = rank_ == size_ - 1 ? static_cast<GpuRuntime&>(broken) : gpu_;

  EXPECT_THROW(choose_gpus(*world_, own, "a", rank_), std::runtime_error);
}

TEST_F(GpusOfRanks, CarryTheTensorsOfAMeshAndLeaveTheRestToMpi) {
  const auto groups = make_gpu_groups(gpu_.libraries(), choose(), rank_);
  {
    const Mesh mesh(rank_environment().world(), {1, size_, 1}, "train", CallChecks::kOn, *groups);

    EXPECT_EQ(mesh.device(), c10::Device(c10::DeviceType::CUDA, 0));
    EXPECT_EQ(gpu_.current_device, 0);
    EXPECT_EQ(mesh.all().all_gather_bytes("x").size(), static_cast<std::size_t>(size_));
    // Of the pipeline axis: one of all its ranks and both ways to each neighbour.
    EXPECT_EQ(gpu_.num_made, size_ == 1 ? 0 : size_ == 2 ? 3 : 5);
  }
  EXPECT_EQ(gpu_.num_destroyed, gpu_.num_made);
  EXPECT_NE(groups->description().find("Fake GPU"), std::string::npos);
}

}  // namespace
}  // namespace meshfold::dist
