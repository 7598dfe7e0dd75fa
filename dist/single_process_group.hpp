#pragma once

#include <string>

#include "dist/process_group.hpp"

namespace meshfold::dist {

/// A group of one: every operation is the identity and completes at once. send and receive throw invalid_argument.
class SingleProcessGroup final : public ProcessGroup {
 public:
  explicit SingleProcessGroup(std::string name = "single") : name_(std::move(name)) {}

  int rank() const override { return 0; }
  int size() const override { return 1; }
  const std::string& name() const override { return name_; }
  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override;
  std::unique_ptr<Work> reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) override;
  std::unique_ptr<Work> all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) override;
  std::unique_ptr<Work> broadcast(at::Tensor tensor, int root) override;
  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override;
  std::vector<std::string> all_gather_bytes(const std::string& bytes) override;
  std::string broadcast_bytes(const std::string& bytes, int root) override;
  std::unique_ptr<Work> send(at::Tensor tensor, int peer, int tag) override;
  std::unique_ptr<Work> receive(at::Tensor tensor, int peer, int tag) override;
  void barrier() override {}
  std::uint64_t bytes_sent() const override { return 0; }

 private:
  std::string name_;
};

}  // namespace meshfold::dist
