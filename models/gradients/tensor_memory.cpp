#include "models/gradients/tensor_memory.hpp"

#include <c10/core/Allocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <malloc.h>

#include <atomic>

namespace meshfold::models {
namespace {

std::atomic<std::uint64_t> live{0}, peak{0};
std::atomic<bool> counts{false};

void count(std::uint64_t bytes) {
  const std::uint64_t now = live.fetch_add(bytes) + bytes;
  std::uint64_t highest = peak.load();
  while (now > highest && !peak.compare_exchange_weak(highest, now)) {
  }
}

void release(void* block) {
  if (block == nullptr) return;
  live.fetch_sub(malloc_usable_size(block));
  c10::free_cpu(block);
}

/// LibTorch's host allocator with a count.
class CountingAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(std::size_t bytes) override {
    void* const block = c10::alloc_cpu(bytes);
    if (block != nullptr) count(malloc_usable_size(block));
    return {block, block, &release, at::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &release; }
  void copy_data(void* destination, const void* source, std::size_t bytes) const override {
    default_copy_data(destination, source, bytes);
  }
};

}  // namespace

void count_tensor_memory() {
  static CountingAllocator* const allocator = [] {
    auto* const made = new CountingAllocator;  // tensors may outlive every static object
    c10::SetAllocator(c10::kCPU, made);
    counts = true;
    return made;
  }();
  static_cast<void>(allocator);
}

std::shared_ptr<const void> count_tensor_outside_libtorch(std::uint64_t bytes) {
  if (!counts) return nullptr;
  count(bytes);
  return {nullptr, [bytes](const void*) { live.fetch_sub(bytes); }};
}

std::uint64_t live_tensor_bytes() { return live; }
std::uint64_t peak_tensor_bytes() { return peak; }
void restart_tensor_peak() { peak = live.load(); }

}  // namespace meshfold::models
