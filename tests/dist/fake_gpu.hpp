#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/gpu/gpu_libraries.hpp"
#include "dist/gpu/gpu_runtime.hpp"
#include "dist/gpu/nccl_library.hpp"
#include "dist/transfers.hpp"

namespace meshfold::tests {

/// CUDA and NCCL as this library uses them, with host tensors on the "device" and messages that MPI carries between the
/// ranks of the test. As with the real ones, what is put on a stream runs later (here: while something is polled), a
/// communicator is not ready before all its ranks came, and calls in a forbidden order fail.
class FakeGpu final : public dist::GpuRuntime, public dist::NcclLibrary {
 public:
  /// Collective over `world`.
  explicit FakeGpu(const dist::Communicator& world);
  ~FakeGpu() override;

  dist::GpuLibraries libraries() { return {*this, *this}; }

  // What a test arranges.
  std::vector<dist::GpuDescription> devices;
  /// What is put on the stream from now on waits for release().
  void hold(dist::GpuStream* stream);
  void release(dist::GpuStream* stream) { held_.erase(stream); }
  /// Every communicator reports this, from the `polls`-th look at one on.
  void report_late(int polls, dist::NcclState state);

  bool never_ready = false;  ///< no communicator becomes ready

  // What a test looks at.
  int num_made = 0, num_destroyed = 0, num_aborted = 0, num_groups = 0;
  int current_device = -1;

  int num_devices() override { return static_cast<int>(devices.size()); }
  dist::GpuDescription describe(int device) override { return devices.at(static_cast<std::size_t>(device)); }
  void use_device(int device) override { current_device = device; }
  dist::GpuStream* make_stream() override;
  void destroy(dist::GpuStream* stream) noexcept override;
  dist::GpuStream* compute_stream() override { return compute_; }
  void launch(dist::GpuStream* stream, std::function<void()> work) override;
  dist::GpuEvent* make_event() override;
  void destroy(dist::GpuEvent* event) noexcept override;
  void record(dist::GpuEvent* event, dist::GpuStream* stream) override;
  void wait(dist::GpuStream* stream, dist::GpuEvent* event) override;
  bool has_happened(dist::GpuEvent* event) override;

  std::string unique_id() override;
  dist::NcclHandle* init(const std::string& unique_id, int size, int rank) override;
  dist::NcclState state(dist::NcclHandle* communicator) override;
  void group_start() override;
  void group_end() override;
  void send(dist::NcclHandle* communicator, const void* bytes, std::size_t size, int peer,
            dist::GpuStream* stream) override;
  void receive(dist::NcclHandle* communicator, void* bytes, std::size_t size, int peer,
               dist::GpuStream* stream) override;
  void finalize(dist::NcclHandle* communicator) override;
  void destroy(dist::NcclHandle* communicator) noexcept override;
  void abort(dist::NcclHandle* communicator) noexcept override;

 private:
  /// How often an event was recorded, and how many of these the streams have passed.
  struct Event {
    std::uint64_t recorded = 0, passed = 0;
  };
  struct Peers;
  struct Message {
    bool outgoing;
    void* bytes;
    std::size_t size;
    int peer;
  };
  /// One thing on a stream: true once it is over.
  using Step = std::function<bool()>;

  void progress();
  std::shared_ptr<Event> event_of(dist::GpuEvent* event) const;
  std::shared_ptr<Peers> peers_of(dist::NcclHandle* communicator) const;
  void add_to_group(dist::NcclHandle* communicator, Message message, dist::GpuStream* stream);

  std::shared_ptr<dist::Communicator> ranks_;
  std::uintptr_t next_handle_ = 1;
  std::map<dist::GpuStream*, std::deque<Step>> streams_;
  dist::GpuStream* compute_;
  std::set<dist::GpuStream*> held_;
  std::map<dist::GpuEvent*, std::shared_ptr<Event>> events_;
  std::map<dist::NcclHandle*, std::shared_ptr<Peers>> communicators_;
  int next_id_ = 0;
  bool in_group_ = false;
  std::map<std::pair<dist::NcclHandle*, dist::GpuStream*>, std::vector<Message>> group_;
  int polls_until_report_ = -1;
  dist::NcclState report_;
};

}  // namespace meshfold::tests
