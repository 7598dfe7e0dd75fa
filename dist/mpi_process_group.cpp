#include "dist/mpi_process_group.hpp"

#include <ATen/ops/empty_like.h>

#include <cassert>
#include <exception>
#include <utility>

#include "dist/all_reduce.hpp"
#include "dist/call_arguments.hpp"
#include "dist/communicator.hpp"
#include "dist/polling_wait.hpp"
#include "dist/row_shards.hpp"
#include "dist/sent_bytes.hpp"
#include "dist/transfers.hpp"

namespace meshfold::dist {
namespace {

// Each collective has a tag pair of its own above the users' tags. The top, 2^22 + 2^18, fits the 23 bits that UCX
// gives.
constexpr std::uint32_t kOperationsInFlight = 1U << 17;

/// A Work whose state is polled. `State` has advance() and num_done() and holds what the messages point at.
template <typename State>
class PolledWork final : public Work {
 public:
  PolledWork(std::shared_ptr<Communicator> communicator, std::string group, std::string operation,
             std::unique_ptr<State> state)
      : communicator_(std::move(communicator)),
        group_(std::move(group)),
        operation_(std::move(operation)),
        state_(std::move(state)) {}

  ~PolledWork() override {
    if (finished_) return;
    assert(failed_ || std::uncaught_exceptions() > 0);
    // MPI may still write into the buffers, so they are never given back.
    static_cast<void>(state_.release());
    static_cast<void>(new std::shared_ptr<Communicator>(communicator_));
  }

  void wait() override {
    if (finished_) return;
    failed_ = true;  // until the end is reached
    PollingWait pauses(*communicator_, group_, operation_);
    std::size_t num_done = state_->num_done();
    while (!state_->advance()) {
      if (state_->num_done() != num_done) {
        num_done = state_->num_done();
        pauses.progress();
      } else {
        pauses.pause();
      }
    }
    finished_ = true;
  }

  bool test() override {
    if (finished_) return true;
    failed_ = true;  // until advance() has returned
    finished_ = state_->advance();
    failed_ = false;
    return finished_;
  }

 private:
  std::shared_ptr<Communicator> communicator_;
  std::string group_, operation_;
  std::unique_ptr<State> state_;
  bool finished_ = false, failed_ = false;
};

struct TransferState {
  explicit TransferState(const Communicator& communicator) : transfers(communicator) {}
  bool advance() { return transfers.test(); }
  std::size_t num_done() const { return transfers.num_done(); }

  std::vector<at::Tensor> tensors;
  std::vector<std::string> strings;
  Transfers transfers;
};

struct AllReduceState {
  bool advance() { return operation->advance(); }
  std::size_t num_done() const { return operation->num_done(); }

  at::Tensor tensor;
  std::unique_ptr<AllReduce> operation;
};

class MpiProcessGroup final : public ProcessGroup {
 public:
  MpiProcessGroup(std::shared_ptr<Communicator> communicator, std::string name)
      : communicator_(std::move(communicator)), name_(std::move(name)) {}

  int rank() const override { return communicator_->rank(); }
  int size() const override { return communicator_->size(); }
  const std::string& name() const override { return name_; }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    check_host(tensor, "all_reduce");
    const ReduceKernel kernel = find_reduce_kernel(tensor.scalar_type(), op);
    auto state = std::make_unique<AllReduceState>();
    state->tensor = tensor;
    const AllReduce::Array array{bytes_of(tensor), static_cast<std::size_t>(tensor.numel()),
                                 static_cast<std::size_t>(tensor.element_size())};
    const int tag = next_tag();
    count_sent(sent_by_all_reduce(tensor.nbytes(), size()));
    state->operation = goes_by_slices(tensor.nbytes()) ? AllReduce::by_slices(*communicator_, array, kernel, tag)
                                                       : AllReduce::by_gathering(*communicator_, array, kernel, tag);
    return make_work(describe_call("all_reduce", tensor.nbytes()), std::move(state));
  }

  std::unique_ptr<Work> reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) override {
    check_host(whole, "reduce_scatter");
    check_row_shards(whole, rows, size(), "reduce_scatter");
    const ReduceKernel kernel = find_reduce_kernel(whole.scalar_type(), ReduceOp::kSum);
    auto state = std::make_unique<AllReduceState>();
    state->tensor = whole;
    const AllReduce::Array array{bytes_of(whole), static_cast<std::size_t>(whole.numel()),
                                 static_cast<std::size_t>(whole.element_size())};
    const std::size_t row_elements = elements_of_row(whole);
    const std::size_t own_bytes = static_cast<std::size_t>(rows[rank()]) * row_elements * array.element_bytes;
    count_sent(sent_by_reduce_scatter(whole.nbytes(), own_bytes));
    state->operation = AllReduce::to_slices(*communicator_, array, rows, row_elements, kernel, next_tag());
    return make_work(describe_call("reduce_scatter", whole.nbytes()), std::move(state));
  }

  std::unique_ptr<Work> all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) override {
    check_host(whole, "all_gather_rows");
    check_row_shards(whole, rows, size(), "all_gather_rows");
    auto state = make_transfer_state();
    state->tensors.push_back(whole);
    const std::size_t row_bytes = elements_of_row(whole) * static_cast<std::size_t>(whole.element_size());
    const auto start_of = [&](int r) {
      return bytes_of(whole) + static_cast<std::size_t>(first_row(rows, r)) * row_bytes;
    };
    const auto bytes_in = [&](int r) { return static_cast<std::size_t>(rows[r]) * row_bytes; };
    const int tag = next_tag();
    for_each_source([&](int r) { state->transfers.receive(start_of(r), bytes_in(r), r, tag); });
    for_each_target([&](int r) { state->transfers.send(start_of(rank()), bytes_in(rank()), r, tag); });
    count_sent(sent_by_all_gather(bytes_in(rank()), size()));
    return make_work(describe_call("all_gather_rows", whole.nbytes()), std::move(state));
  }

  std::unique_ptr<Work> broadcast(at::Tensor tensor, int root) override {
    check_host(tensor, "broadcast");
    check_peer(root, "broadcast", *this);
    if (rank() == root) count_sent(tensor.nbytes());
    auto state = make_transfer_state();
    state->tensors.push_back(tensor);
    state->transfers.broadcast(bytes_of(tensor), tensor.nbytes(), root);
    return make_work(describe_call("broadcast", tensor.nbytes()) + " from rank " + std::to_string(root),
                     std::move(state));
  }

  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    check_host(tensor, "all_gather");
    auto state = make_transfer_state();
    std::vector<at::Tensor> result;
    for (int r = 0; r < size(); ++r) result.push_back(r == rank() ? tensor.clone() : at::empty_like(tensor));
    state->tensors = result;
    const int tag = next_tag();
    for_each_source([&](int r) { state->transfers.receive(bytes_of(result[r]), tensor.nbytes(), r, tag); });
    for_each_target([&](int r) { state->transfers.send(bytes_of(result[rank()]), tensor.nbytes(), r, tag); });
    count_sent(sent_by_all_gather(tensor.nbytes(), size()));
    make_work(describe_call("all_gather", tensor.nbytes()), std::move(state))->wait();
    return result;
  }

  std::vector<std::string> all_gather_bytes(const std::string& bytes) override {
    std::vector<std::string> lengths(static_cast<std::size_t>(size()), std::string(sizeof(std::uint64_t), '\0'));
    const std::uint64_t own_length = bytes.size();
    lengths[rank()].assign(reinterpret_cast<const char*>(&own_length), sizeof own_length);
    lengths = exchange_strings(std::move(lengths), "all_gather_bytes (lengths)");

    std::vector<std::string> result;
    for (const std::string& text : lengths) {
      std::uint64_t length = 0;
      text.copy(reinterpret_cast<char*>(&length), sizeof length);
      result.emplace_back(length, '\0');
    }
    result[rank()] = bytes;
    return exchange_strings(std::move(result), "all_gather_bytes");
  }

  std::string broadcast_bytes(const std::string& bytes, int root) override {
    check_peer(root, "broadcast_bytes", *this);
    const std::uint64_t own_length = rank() == root ? bytes.size() : 0;
    std::string length_text(reinterpret_cast<const char*>(&own_length), sizeof own_length);
    length_text = broadcast_string(std::move(length_text), root);
    std::uint64_t length = 0;
    length_text.copy(reinterpret_cast<char*>(&length), sizeof length);
    return broadcast_string(rank() == root ? bytes : std::string(length, '\0'), root);
  }

  std::unique_ptr<Work> send(at::Tensor tensor, int peer, int tag) override {
    check_host(tensor, "send");
    check_message(peer, tag, kMaxUserTag, "send", *this);
    auto state = make_transfer_state();
    state->tensors.push_back(tensor);
    state->transfers.send(bytes_of(tensor), tensor.nbytes(), peer, tag);
    count_sent(tensor.nbytes());
    return make_work(describe_call("send", tensor.nbytes()) + " to rank " + std::to_string(peer), std::move(state));
  }

  std::unique_ptr<Work> receive(at::Tensor tensor, int peer, int tag) override {
    check_host(tensor, "receive");
    check_message(peer, tag, kMaxUserTag, "receive", *this);
    auto state = make_transfer_state();
    state->tensors.push_back(tensor);
    state->transfers.receive(bytes_of(tensor), tensor.nbytes(), peer, tag);
    return make_work(describe_call("receive", tensor.nbytes()) + " from rank " + std::to_string(peer),
                     std::move(state));
  }

  void barrier() override {
    auto state = make_transfer_state();
    state->transfers.barrier();
    make_work("barrier", std::move(state))->wait();
  }

  std::uint64_t bytes_sent() const override { return bytes_sent_; }

 private:
  void count_sent(std::size_t bytes) { bytes_sent_ += bytes; }
  static std::byte* bytes_of(const at::Tensor& tensor) { return static_cast<std::byte*>(tensor.data_ptr()); }

  template <typename State>
  std::unique_ptr<Work> make_work(std::string operation, std::unique_ptr<State> state) const {
    return std::make_unique<PolledWork<State>>(communicator_, name_, std::move(operation), std::move(state));
  }

  std::unique_ptr<TransferState> make_transfer_state() const { return std::make_unique<TransferState>(*communicator_); }

  int next_tag() const {
    return kMaxUserTag + 1 + static_cast<int>(communicator_->next_operation() % kOperationsInFlight) * 2;
  }

  /// Peers in an order that differs from rank to rank, so that not all of them turn to rank 0 first.
  template <typename Visit>
  void for_each_source(Visit visit) const {
    for (int distance = 1; distance < size(); ++distance) visit((rank() - distance + size()) % size());
  }
  template <typename Visit>
  void for_each_target(Visit visit) const {
    for (int distance = 1; distance < size(); ++distance) visit((rank() + distance) % size());
  }

  /// strings[r] has the length of rank r's; strings[rank()] is sent to all, the others are filled.
  std::vector<std::string> exchange_strings(std::vector<std::string> strings, const std::string& operation) {
    auto state = make_transfer_state();
    state->strings = std::move(strings);
    TransferState& under_way = *state;
    const int tag = next_tag();
    for_each_source(
        [&](int r) { under_way.transfers.receive(under_way.strings[r].data(), under_way.strings[r].size(), r, tag); });
    for_each_target([&](int r) {
      under_way.transfers.send(under_way.strings[rank()].data(), under_way.strings[rank()].size(), r, tag);
    });
    count_sent(sent_by_all_gather(under_way.strings[rank()].size(), size()));
    const auto work = make_work(operation, std::move(state));
    work->wait();
    return std::move(under_way.strings);
  }

  std::string broadcast_string(std::string text, int root) {
    auto state = make_transfer_state();
    if (rank() == root) count_sent(text.size());
    state->strings.push_back(std::move(text));
    TransferState& under_way = *state;
    under_way.transfers.broadcast(under_way.strings[0].data(), under_way.strings[0].size(), root);
    const auto work = make_work("broadcast_bytes from rank " + std::to_string(root), std::move(state));
    work->wait();
    return std::move(under_way.strings[0]);
  }

  void check_host(const at::Tensor& tensor, const char* operation) const {
    check_dense(tensor, tensor.defined() && tensor.device().is_cpu(), "host memory", operation, *this);
  }

  std::shared_ptr<Communicator> communicator_;
  std::string name_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace

std::unique_ptr<ProcessGroup> make_mpi_process_group(std::shared_ptr<Communicator> communicator, std::string name) {
  return std::make_unique<MpiProcessGroup>(std::move(communicator), std::move(name));
}

}  // namespace meshfold::dist
