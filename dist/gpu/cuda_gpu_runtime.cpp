#include "dist/gpu/cuda_gpu_runtime.hpp"

#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <utility>

#include "dist/error.hpp"

namespace meshfold::dist {
namespace {

void check(cudaError_t result, const char* call) {
  if (result == cudaSuccess) return;
  throw CudaError(std::string(call) + " failed: " + cudaGetErrorString(result) + " (" + cudaGetErrorName(result) + ")");
}

cudaStream_t to_cuda(GpuStream* stream) { return reinterpret_cast<cudaStream_t>(stream); }
cudaEvent_t to_cuda(GpuEvent* event) { return reinterpret_cast<cudaEvent_t>(event); }

class CudaGpuRuntime final : public GpuRuntime {
 public:
  int num_devices() override {
    int count = 0;
    const cudaError_t result = cudaGetDeviceCount(&count);
    if (result == cudaErrorNoDevice || result == cudaErrorInsufficientDriver) {
      cudaGetLastError();  // or the next call would report it again
      return 0;
    }
    check(result, "cudaGetDeviceCount");
    return count;
  }

  GpuDescription describe(int device) override {
    GpuDescription description;
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    description.name = properties.name;
    char pci_id[32] = "";
    check(cudaDeviceGetPCIBusId(pci_id, sizeof pci_id, device), "cudaDeviceGetPCIBusId");
    description.pci_id = pci_id;
    description.total_bytes = properties.totalGlobalMem;
    return description;
  }

  void use_device(int device) override {
    check(cudaSetDevice(device), "cudaSetDevice");
    c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  }

  GpuStream* make_stream() override {
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    return reinterpret_cast<GpuStream*>(stream);
  }
  void destroy(GpuStream* stream) noexcept override { cudaStreamDestroy(to_cuda(stream)); }

  GpuStream* compute_stream() override {
    return reinterpret_cast<GpuStream*>(c10::cuda::getCurrentCUDAStream().stream());
  }

  void launch(GpuStream* stream, std::function<void()> work) override {
    const c10::cuda::CUDAStreamGuard guard(
        c10::cuda::getStreamFromExternal(to_cuda(stream), c10::cuda::current_device()));
    work();
  }

  GpuEvent* make_event() override {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreateWithFlags");
    return reinterpret_cast<GpuEvent*>(event);
  }
  void destroy(GpuEvent* event) noexcept override { cudaEventDestroy(to_cuda(event)); }
  void record(GpuEvent* event, GpuStream* stream) override {
    check(cudaEventRecord(to_cuda(event), to_cuda(stream)), "cudaEventRecord");
  }
  void wait(GpuStream* stream, GpuEvent* event) override {
    check(cudaStreamWaitEvent(to_cuda(stream), to_cuda(event), 0), "cudaStreamWaitEvent");
  }
  bool has_happened(GpuEvent* event) override {
    const cudaError_t result = cudaEventQuery(to_cuda(event));
    if (result == cudaErrorNotReady) return false;
    check(result, "cudaEventQuery");
    return true;
  }
};

}  // namespace

std::unique_ptr<GpuRuntime> make_cuda_gpu_runtime() { return std::make_unique<CudaGpuRuntime>(); }

}  // namespace meshfold::dist
