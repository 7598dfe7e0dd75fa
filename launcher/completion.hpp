#pragma once

#include <string>

namespace meshfold::launcher {

/// A script for `source <(meshfold completion bash)`: completes commands, flags, the option keys of the command after
/// --set, and after `key=` the option's choices or paths. Made from the option table and the command list.
std::string bash_completion();

}  // namespace meshfold::launcher
