#pragma once

#include <memory>

#include "dist/gpu/nccl_library.hpp"

namespace meshfold::dist {

/// NCCL itself, from 2.14 on (nonblocking communicators).
std::unique_ptr<NcclLibrary> make_real_nccl_library();

}  // namespace meshfold::dist
