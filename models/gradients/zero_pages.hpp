#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace meshfold::models {

/// fp32 zeros [num_elements]. In host memory they take resident memory only once they are written, page by page of the
/// system's smallest pages (4 KiB): reading what was never written reads one page of zeros that all share. For what is
/// zero in most rows of an embedding table: its gradient and its optimizer states. Counted whole by tensor_memory.
/// Whoever will add to untouched elements writes zeros there first: a page that is read and then written is exchanged
/// on all cores, which takes some 20 us on a virtual machine. Elsewhere plain zeros. Throws std::runtime_error where
/// the system refuses the address space.
at::Tensor zero_pages(std::int64_t num_elements, at::Device device);

/// Gives back the memory of pages that hold nothing but zeros again. `zeros`: made by zero_pages(), in host memory.
void release_zeros(const at::Tensor& zeros);

}  // namespace meshfold::models
