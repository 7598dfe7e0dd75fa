#include "models/gradients/zero_pages.hpp"

#include <ATen/ops/from_blob.h>
#include <ATen/ops/zeros.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>

#include "models/gradients/tensor_memory.hpp"

namespace meshfold::models {
namespace {

void* map_zeros(std::size_t bytes) {
  void* const address =
      ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) {
    throw std::runtime_error("no address space for " + std::to_string(bytes >> 20) +
                             " MiB of gradients or optimizer states: " + std::strerror(errno) +
                             "; raise the limit (ulimit -v) or put the model on more ranks");
  }
  // Where huge pages are always on, one row would take 2 MiB. A kernel without them refuses the advice.
  ::madvise(address, bytes, MADV_NOHUGEPAGE);
  return address;
}

}  // namespace

at::Tensor zero_pages(std::int64_t num_elements, at::Device device) {
  const auto options = at::TensorOptions().dtype(at::kFloat).device(device);
  if (!device.is_cpu() || num_elements == 0) return at::zeros({num_elements}, options);
  const std::size_t bytes = static_cast<std::size_t>(num_elements) * sizeof(float);
  void* const address = map_zeros(bytes);
  const auto unmap = [bytes, counted = count_tensor_outside_libtorch(bytes)](void* mapped) { ::munmap(mapped, bytes); };
  return at::from_blob(address, {num_elements}, unmap, options);
}

void release_zeros(const at::Tensor& zeros) {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  auto* const bytes = static_cast<char*>(zeros.mutable_data_ptr());
  const std::size_t end = zeros.nbytes() / page * page;
  const auto is_zero = [&](std::size_t begin) {
    return bytes[begin] == 0 && std::memcmp(bytes + begin, bytes + begin + 1, page - 1) == 0;
  };
  for (std::size_t begin = 0; begin < end;) {
    std::size_t stop = begin;
    while (stop < end && is_zero(stop)) stop += page;
    if (stop > begin) ::madvise(bytes + begin, stop - begin, MADV_DONTNEED);
    begin = stop + page;
  }
}

}  // namespace meshfold::models
