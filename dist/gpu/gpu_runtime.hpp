#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

namespace meshfold::dist {

/// One GPU as the driver shows it.
struct GpuDescription {
  std::string name;
  std::string pci_id;  ///< "0000:17:00.0"; the same card has the same one in every process of its machine
  std::size_t free_bytes = 0, total_bytes = 0;
};

struct GpuStream;  ///< an opaque handle: operations that run in the order in which they were put
struct GpuEvent;   ///< an opaque handle: a place in a stream

/// The calls of the CUDA runtime that this library makes, and no others, so that tests can fake them. One thread uses
/// it. Every method throws CudaError with the call's name and the driver's words.
class GpuRuntime {
 public:
  virtual ~GpuRuntime() = default;

  /// Devices that this process may use; none is no error.
  virtual int num_devices() = 0;
  virtual GpuDescription describe(int device) = 0;
  /// The one that later calls, and new tensors, go to.
  virtual void use_device(int device) = 0;

  virtual GpuStream* make_stream() = 0;
  virtual void destroy(GpuStream* stream) noexcept = 0;
  /// The stream that tensor operations of this thread go to.
  virtual GpuStream* compute_stream() = 0;
  /// Calls `work`, whose tensor operations go to `stream` instead. A fake may call it when the stream comes to it, so
  /// `work` owns what it uses.
  virtual void launch(GpuStream* stream, std::function<void()> work) = 0;

  virtual GpuEvent* make_event() = 0;
  virtual void destroy(GpuEvent* event) noexcept = 0;
  virtual void record(GpuEvent* event, GpuStream* stream) = 0;
  /// What is put on `stream` from now on waits for `event` as it was last recorded. The host does not wait.
  virtual void wait(GpuStream* stream, GpuEvent* event) = 0;
  /// Whether the stream has passed the place that was last recorded; true for an event that never was.
  virtual bool has_happened(GpuEvent* event) = 0;
};

/// Gives a handle back to its runtime, which must outlive it.
struct GpuHandleDeleter {
  GpuRuntime* runtime = nullptr;
  template <typename Handle>
  void operator()(Handle* handle) const noexcept {
    runtime->destroy(handle);
  }
};
using OwnedGpuStream = std::unique_ptr<GpuStream, GpuHandleDeleter>;
using OwnedGpuEvent = std::unique_ptr<GpuEvent, GpuHandleDeleter>;

inline OwnedGpuStream make_owned_stream(GpuRuntime& runtime) { return {runtime.make_stream(), {&runtime}}; }
inline OwnedGpuEvent make_owned_event(GpuRuntime& runtime) { return {runtime.make_event(), {&runtime}}; }

}  // namespace meshfold::dist
