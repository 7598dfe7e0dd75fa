#include "dist/call_arguments.hpp"

#include <stdexcept>

namespace meshfold::dist {

void check_dense(const at::Tensor& tensor, bool there, const char* memory, const char* operation,
                 const ProcessGroup& group) {
  if (tensor.defined() && there && tensor.layout() == at::kStrided && tensor.is_contiguous()) return;
  throw std::invalid_argument(std::string(operation) + " on '" + group.name() +
                              "' takes a dense, contiguous tensor in " + memory);
}

void check_peer(int peer, const char* operation, const ProcessGroup& group) {
  if (peer >= 0 && peer < group.size()) return;
  throw std::invalid_argument(std::string(operation) + ": '" + group.name() + "' has " + std::to_string(group.size()) +
                              " ranks and none with number " + std::to_string(peer));
}

void check_message(int peer, int tag, int max_tag, const char* operation, const ProcessGroup& group) {
  check_peer(peer, operation, group);
  if (peer == group.rank()) {
    throw std::invalid_argument(std::string(operation) + ": a rank has no messages for itself");
  }
  if (tag < 0 || tag > max_tag) {
    throw std::invalid_argument(std::string(operation) + ": the tag " + std::to_string(tag) + " is not in 0.." +
                                std::to_string(max_tag));
  }
}

std::string describe_call(const char* operation, std::size_t num_bytes) {
  return std::string(operation) + " of " + std::to_string(num_bytes) + " bytes";
}

}  // namespace meshfold::dist
