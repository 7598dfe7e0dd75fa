#pragma once

#include <stdexcept>
#include <string>

namespace meshfold::dist {

/// A failed MPI call, with the call's name, the library's own words, this rank and the call site.
class MpiError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A failed CUDA call, with the call's name and the driver's words.
class CudaError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A failed NCCL call, or an error that NCCL reported after it.
class NcclError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A rank did not answer before a deadline. Exit code 6.
class PeerLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Ranks of one group were about to make different calls; found by CheckedProcessGroup. A mistake of the program.
class CallMismatch : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

/// What agree() throws on the ranks that did not fail themselves: `what()` names the failing rank and its message.
/// `exit_code()` is the one the failing rank asked for, so every rank ends with the same.
class PeerFailed : public std::runtime_error {
 public:
  PeerFailed(int rank, int exit_code, const std::string& message)
      : std::runtime_error(message), rank_(rank), exit_code_(exit_code) {}
  int rank() const { return rank_; }
  int exit_code() const { return exit_code_; }

 private:
  int rank_;
  int exit_code_;
};

}  // namespace meshfold::dist
