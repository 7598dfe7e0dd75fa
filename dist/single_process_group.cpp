#include "dist/single_process_group.hpp"

#include <stdexcept>

#include "dist/row_shards.hpp"

namespace meshfold::dist {
namespace {

class FinishedWork final : public Work {
 public:
  void wait() override {}
};

[[noreturn]] void refuse_peer() { throw std::invalid_argument("a group of one has no peer to exchange with"); }

}  // namespace

std::unique_ptr<Work> SingleProcessGroup::all_reduce(at::Tensor, ReduceOp) { return std::make_unique<FinishedWork>(); }
std::unique_ptr<Work> SingleProcessGroup::reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) {
  check_row_shards(whole, rows, 1, "reduce_scatter");
  return std::make_unique<FinishedWork>();
}
std::unique_ptr<Work> SingleProcessGroup::all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) {
  check_row_shards(whole, rows, 1, "all_gather_rows");
  return std::make_unique<FinishedWork>();
}
std::unique_ptr<Work> SingleProcessGroup::broadcast(at::Tensor, int) { return std::make_unique<FinishedWork>(); }
std::vector<at::Tensor> SingleProcessGroup::all_gather(const at::Tensor& tensor) { return {tensor.clone()}; }
std::vector<std::string> SingleProcessGroup::all_gather_bytes(const std::string& bytes) { return {bytes}; }
std::string SingleProcessGroup::broadcast_bytes(const std::string& bytes, int) { return bytes; }
std::unique_ptr<Work> SingleProcessGroup::send(at::Tensor, int, int) { refuse_peer(); }
std::unique_ptr<Work> SingleProcessGroup::receive(at::Tensor, int, int) { refuse_peer(); }

}  // namespace meshfold::dist
