#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "dist/communicator.hpp"
#include "dist/mesh.hpp"
#include "tests/jobs/toy_problem.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::tests {

/// All ranks of the test along the data axis.
inline dist::Mesh world_mesh() { return {rank_environment().world(), {rank_environment().size(), 1, 1}, "test"}; }

/// One scratch directory for all ranks, removed when the last has left. Collective.
class SharedDirectory {
 public:
  explicit SharedDirectory(dist::ProcessGroup& group)
      : group_(group), path_(group.broadcast_bytes(own_.path().string(), 0)) {}
  ~SharedDirectory() {
    // Rank 0 owns it and waits for the others, unless a test is being left early: then they may never come.
    if (!testing::Test::HasFatalFailure()) group_.barrier();
  }
  SharedDirectory(const SharedDirectory&) = delete;
  SharedDirectory& operator=(const SharedDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  dist::ProcessGroup& group_;
  ScratchDirectory own_;
  std::filesystem::path path_;
};

}  // namespace meshfold::tests
