#include "dist/gpu/gpu_placement.hpp"

#include <charconv>
#include <map>
#include <set>
#include <utility>

#include "base/text.hpp"
#include "dist/agreement.hpp"
#include "dist/communicator.hpp"
#include "dist/gpu/gpu_runtime.hpp"
#include "dist/gpu/nccl_process_group.hpp"
#include "dist/mpi_process_group.hpp"

namespace meshfold::dist {
namespace {

constexpr const char* kWhatToDo =
    "; start at most as many ranks a machine as it has GPUs, give each rank its own (sbatch --gpus-per-task=1, or "
    "CUDA_VISIBLE_DEVICES), or set run.device = cpu";

/// A line a field; none of them holds a line break.
std::string to_text(const RankGpu& gpu) {
  return gpu.host + "\n" + gpu.pci_id + "\n" + gpu.name + "\n" + std::to_string(gpu.num_visible) + "\n" +
         std::to_string(gpu.device) + "\n";
}

RankGpu from_text(const std::string& text) {
  std::size_t begin = 0;
  const auto next = [&] {
    const std::size_t end = text.find('\n', begin);
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    return line;
  };
  RankGpu gpu;
  gpu.host = next();
  gpu.pci_id = next();
  gpu.name = next();
  gpu.num_visible = std::stoi(next());
  gpu.device = std::stoi(next());
  return gpu;
}

class GpuGroups final : public GroupMaker {
 public:
  GpuGroups(GpuLibraries gpu, c10::Device device, std::string description)
      : gpu_(gpu), device_(device), description_(std::move(description)) {}

  c10::Device device() const override { return device_; }
  std::string description() const override { return description_; }

  std::unique_ptr<ProcessGroup> make(std::shared_ptr<Communicator> communicator, const std::string& name,
                                     Traffic traffic) const override {
    if (traffic == Traffic::kControl) return make_mpi_process_group(std::move(communicator), name);
    NcclGroupOptions options;
    options.links = traffic == Traffic::kNeighbours ? RingLinks::kNeighbours : RingLinks::kNone;
    return make_nccl_process_group(gpu_, device_, std::move(communicator), name, options);
  }

 private:
  GpuLibraries gpu_;
  c10::Device device_;
  std::string description_;
};

}  // namespace

RankGpu choose_gpu(GpuRuntime& runtime, const std::string& host, int local_rank) {
  RankGpu gpu;
  gpu.host = host;
  gpu.num_visible = runtime.num_devices();
  if (gpu.num_visible == 0) return gpu;
  gpu.device = local_rank % gpu.num_visible;
  const GpuDescription description = runtime.describe(gpu.device);
  gpu.pci_id = description.pci_id;
  gpu.name = description.name;
  return gpu;
}

std::vector<RankGpu> choose_gpus(ProcessGroup& world, GpuRuntime& runtime, const std::string& host, int local_rank) {
  std::string own;
  agree(world, "look for GPUs", [&] { own = to_text(choose_gpu(runtime, host, local_rank)); });
  std::vector<RankGpu> ranks;
  for (const std::string& text : world.all_gather_bytes(own)) ranks.push_back(from_text(text));
  return ranks;
}

std::string fault_of(std::span<const RankGpu> ranks) {
  std::map<std::pair<std::string, std::string>, std::size_t> taken;  // host and PCI id, by rank
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankGpu& gpu = ranks[rank];
    if (gpu.num_visible == 0) return "rank " + std::to_string(rank) + " on " + gpu.host + " sees no GPU" + kWhatToDo;
    const auto [first, is_new] = taken.try_emplace({gpu.host, gpu.pci_id}, rank);
    if (is_new) continue;
    return "ranks " + std::to_string(first->second) + " and " + std::to_string(rank) + " on " + gpu.host +
           " have one GPU, " + gpu.pci_id + " (" + gpu.name + "; rank " + std::to_string(rank) + " sees " +
           std::to_string(gpu.num_visible) + ")" + kWhatToDo;
  }
  return "";
}

std::unique_ptr<GroupMaker> make_gpu_groups(GpuLibraries gpu, std::span<const RankGpu> ranks, int rank) {
  std::set<std::string> names;
  for (const RankGpu& each : ranks) names.insert(each.name);
  const int device = ranks[static_cast<std::size_t>(rank)].device;
  gpu.runtime.use_device(device);
  return std::make_unique<GpuGroups>(gpu, c10::Device(c10::DeviceType::CUDA, static_cast<c10::DeviceIndex>(device)),
                                     std::to_string(ranks.size()) +
                                         (ranks.size() == 1 ? " GPU (" : " GPUs, one a rank (") + base::joined(names) +
                                         ")");
}

}  // namespace meshfold::dist
