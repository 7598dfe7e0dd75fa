#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <string>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// What every real process group checks before it sends anything; each throws invalid_argument that names the call and
/// the group.

/// A dense, contiguous tensor; `memory` says in words where it has to lie and `there` whether it does.
void check_dense(const at::Tensor& tensor, bool there, const char* memory, const char* operation,
                 const ProcessGroup& group);
void check_peer(int peer, const char* operation, const ProcessGroup& group);
/// Another rank, and a tag from 0 to `max_tag`.
void check_message(int peer, int tag, int max_tag, const char* operation, const ProcessGroup& group);

/// "all_reduce of 400 bytes", for messages.
std::string describe_call(const char* operation, std::size_t num_bytes);

}  // namespace meshfold::dist
