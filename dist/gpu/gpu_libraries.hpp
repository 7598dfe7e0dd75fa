#pragma once

namespace meshfold::dist {

class GpuRuntime;
class NcclLibrary;

/// What talks to GPUs: the real ones, or a test's. Both outlive everything that is made with them.
struct GpuLibraries {
  GpuRuntime& runtime;
  NcclLibrary& nccl;
};

}  // namespace meshfold::dist
