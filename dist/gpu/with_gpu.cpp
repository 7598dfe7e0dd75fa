#include "dist/gpu/built_in_gpu.hpp"
#include "dist/gpu/cuda_gpu_runtime.hpp"
#include "dist/gpu/real_nccl_library.hpp"

namespace meshfold::dist {
namespace {

class CudaAndNccl final : public BuiltInGpu {
 public:
  GpuLibraries libraries() override { return {*runtime_, *nccl_}; }

 private:
  std::unique_ptr<GpuRuntime> runtime_ = make_cuda_gpu_runtime();
  std::unique_ptr<NcclLibrary> nccl_ = make_real_nccl_library();
};

}  // namespace

std::unique_ptr<BuiltInGpu> built_in_gpu() { return std::make_unique<CudaAndNccl>(); }

}  // namespace meshfold::dist
