#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>
#include <vector>

#include "dist/gpu/gpu_runtime.hpp"
#include "dist/process_group.hpp"

namespace meshfold::dist {

class NcclChannel;
class NcclLinks;

/// The end of an operation that was put on `channel`, one of `links`: `done` is recorded behind it. `tensors` are kept
/// until then; for good, if it never comes, for the device may still write into them.
std::unique_ptr<Work> make_nccl_work(GpuRuntime& runtime, std::shared_ptr<NcclLinks> links, NcclChannel& channel,
                                     std::string operation, std::vector<at::Tensor> tensors, OwnedGpuEvent done);

}  // namespace meshfold::dist
