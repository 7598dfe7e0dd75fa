#include "jobs/selftest/test_file.hpp"

#include <unistd.h>

namespace meshfold::jobs::selftest {

std::filesystem::path test_path(const Context& context, const std::string& name) {
  const std::string unique = context.world.broadcast_bytes(context.host_of(0) + "-" + std::to_string(::getpid()), 0);
  return context.directory / (".meshfold-selftest-" + unique + "-" + name);
}

}  // namespace meshfold::jobs::selftest
