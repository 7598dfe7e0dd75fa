#include "dist/gpu/nccl_process_group.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "dist/call_arguments.hpp"
#include "dist/communicator.hpp"
#include "dist/gpu/nccl_links.hpp"
#include "dist/gpu/nccl_work.hpp"
#include "dist/gpu/tensor_reduction.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/row_shards.hpp"
#include "dist/slice_rounds.hpp"

namespace meshfold::dist {
namespace {

using Message = NcclChannel::Message;
using Messages = std::vector<Message>;
enum class AfterSum { kGather, kLeaveScattered };

std::byte* bytes_of(const at::Tensor& tensor) { return static_cast<std::byte*>(tensor.data_ptr()); }

class NcclProcessGroup final : public ProcessGroup {
 public:
  NcclProcessGroup(GpuLibraries gpu, c10::Device device, std::shared_ptr<Communicator> communicator, std::string name,
                   const NcclGroupOptions& options)
      : gpu_(gpu),
        device_(device),
        host_(make_mpi_process_group(communicator, std::move(name))),
        links_(std::make_shared<NcclLinks>(gpu, std::move(communicator), *host_, options.links)),
        scratch_bytes_(options.scratch_bytes),
        compute_is_done_(make_owned_event(gpu.runtime)) {}

  int rank() const override { return host_->rank(); }
  int size() const override { return host_->size(); }
  const std::string& name() const override { return host_->name(); }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    if (!is_on_device(tensor)) return host_->all_reduce(std::move(tensor), op);
    check_on_device(tensor, "all_reduce");
    check_reducible(tensor.scalar_type(), op);
    const auto slices = even_row_shards(tensor.numel(), size());
    return start_sum("all_reduce", tensor, slices, 1, op, AfterSum::kGather);
  }

  std::unique_ptr<Work> reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) override {
    if (!is_on_device(whole)) return host_->reduce_scatter(std::move(whole), rows);
    check_on_device(whole, "reduce_scatter");
    check_row_shards(whole, rows, size(), "reduce_scatter");
    check_reducible(whole.scalar_type(), ReduceOp::kSum);
    return start_sum("reduce_scatter", whole, rows, elements_of_row(whole), ReduceOp::kSum, AfterSum::kLeaveScattered);
  }

  std::unique_ptr<Work> all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) override {
    if (!is_on_device(whole)) return host_->all_gather_rows(std::move(whole), rows);
    check_on_device(whole, "all_gather_rows");
    check_row_shards(whole, rows, size(), "all_gather_rows");
    const std::size_t row_bytes = elements_of_row(whole) * whole.element_size();
    const auto message = [&](Message::Way way, int owner, int peer) {
      return Message{way, bytes_of(whole) + static_cast<std::size_t>(first_row(rows, owner)) * row_bytes,
                     static_cast<std::size_t>(rows[owner]) * row_bytes, peer};
    };
    Messages messages;
    for_each_peer([&](int source, int target) {
      messages.push_back(message(Message::Way::kReceive, source, source));
      messages.push_back(message(Message::Way::kSend, rank(), target));
    });
    return start_exchange(links_->all(), describe_call("all_gather_rows", whole.nbytes()), {whole}, messages);
  }

  std::unique_ptr<Work> broadcast(at::Tensor tensor, int root) override {
    if (!is_on_device(tensor)) return host_->broadcast(std::move(tensor), root);
    check_on_device(tensor, "broadcast");
    check_peer(root, "broadcast", *this);
    Messages messages;
    if (rank() == root) {
      for_each_peer([&](int, int target) {
        messages.push_back({Message::Way::kSend, bytes_of(tensor), tensor.nbytes(), target});
      });
    } else {
      messages.push_back({Message::Way::kReceive, bytes_of(tensor), tensor.nbytes(), root});
    }
    return start_exchange(links_->all(),
                          describe_call("broadcast", tensor.nbytes()) + " from rank " + std::to_string(root), {tensor},
                          messages);
  }

  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    if (!is_on_device(tensor)) return host_->all_gather(tensor);
    check_on_device(tensor, "all_gather");
    std::vector<at::Tensor> result;
    for (int r = 0; r < size(); ++r) result.push_back(r == rank() ? tensor.clone() : at::empty_like(tensor));
    Messages messages;
    for_each_peer([&](int source, int target) {
      messages.push_back({Message::Way::kReceive, bytes_of(result[source]), tensor.nbytes(), source});
      messages.push_back({Message::Way::kSend, bytes_of(result[rank()]), tensor.nbytes(), target});
    });
    start_exchange(links_->all(), describe_call("all_gather", tensor.nbytes()), result, messages)->wait();
    return result;
  }

  std::vector<std::string> all_gather_bytes(const std::string& bytes) override {
    return host_->all_gather_bytes(bytes);
  }
  std::string broadcast_bytes(const std::string& bytes, int root) override {
    return host_->broadcast_bytes(bytes, root);
  }

  std::unique_ptr<Work> send(at::Tensor tensor, int peer, int tag) override {
    if (!is_on_device(tensor)) return host_->send(std::move(tensor), peer, tag);
    check_on_device(tensor, "send");
    check_message(peer, tag, kMaxUserTag, "send", *this);
    return start_exchange(links_->to(peer), describe_call("send", tensor.nbytes()) + " to rank " + std::to_string(peer),
                          {tensor}, {{Message::Way::kSend, bytes_of(tensor), tensor.nbytes(), 1}});
  }

  std::unique_ptr<Work> receive(at::Tensor tensor, int peer, int tag) override {
    if (!is_on_device(tensor)) return host_->receive(std::move(tensor), peer, tag);
    check_on_device(tensor, "receive");
    check_message(peer, tag, kMaxUserTag, "receive", *this);
    return start_exchange(links_->from(peer),
                          describe_call("receive", tensor.nbytes()) + " from rank " + std::to_string(peer), {tensor},
                          {{Message::Way::kReceive, bytes_of(tensor), tensor.nbytes(), 0}});
  }

  void barrier() override { host_->barrier(); }
  std::uint64_t bytes_sent() const override { return bytes_sent_ + host_->bytes_sent(); }

 private:
  bool is_on_device(const at::Tensor& tensor) const { return tensor.defined() && tensor.device() == device_; }
  void check_on_device(const at::Tensor& tensor, const char* operation) const {
    check_dense(tensor, true, "the memory of this rank's device", operation, *this);
  }

  /// Calls visit(source, target) for every distance round the group, so that not all turn to rank 0 first.
  template <typename Visit>
  void for_each_peer(Visit visit) const {
    for (int distance = 1; distance < size(); ++distance) {
      visit((rank() - distance + size()) % size(), (rank() + distance) % size());
    }
  }

  void exchange(NcclChannel& channel, const Messages& messages, const std::string& operation) {
    channel.exchange(messages, operation);
    for (const Message& message : messages) {
      if (message.way == Message::Way::kSend) bytes_sent_ += message.size;
    }
  }

  /// Puts on `channel` what `put` puts there, behind what the compute stream was given. The tensors are in the hands of
  /// the Work first: if `put` fails half way, the device may still write into them.
  template <typename Put>
  std::unique_ptr<Work> start(NcclChannel& channel, const std::string& operation, std::vector<at::Tensor> tensors,
                              Put put) {
    OwnedGpuEvent owned_end = make_owned_event(gpu_.runtime);
    GpuEvent* const end = owned_end.get();
    auto work = make_nccl_work(gpu_.runtime, links_, channel, operation, std::move(tensors), std::move(owned_end));
    links_->guard([&] {
      gpu_.runtime.record(compute_is_done_.get(), gpu_.runtime.compute_stream());
      gpu_.runtime.wait(channel.stream(), compute_is_done_.get());
      put();
      gpu_.runtime.record(end, channel.stream());
    });
    return work;
  }

  std::unique_ptr<Work> start_exchange(NcclChannel& channel, const std::string& operation,
                                       std::vector<at::Tensor> tensors, const Messages& messages) {
    return start(channel, operation, std::move(tensors), [&] { exchange(channel, messages, operation); });
  }

  /// `tensor` seen as one row of elements, of which rank r's slice is rows[r] rows of `row_elements`. In round k the
  /// ranks send each other chunk k of their slices, and those of round k - 1, which are summed by then.
  std::unique_ptr<Work> start_sum(const char* name, const at::Tensor& tensor, std::span<const std::int64_t> rows,
                                  std::size_t row_elements, ReduceOp op, AfterSum after) {
    const std::string operation = describe_call(name, tensor.nbytes());
    const at::Tensor flat = tensor.detach().view({-1});
    const auto num_peers = static_cast<std::size_t>(std::max(size() - 1, 1));
    const SliceRounds rounds(rows, row_elements, scratch_bytes_ / num_peers / tensor.element_size());
    // Made on the compute stream, before the event that the exchange waits for: whoever had this memory is done with
    // it.
    const at::Tensor scratch = at::empty({size(), static_cast<std::int64_t>(rounds.chunk())}, tensor.options());
    NcclChannel& channel = links_->all();
    return start(channel, operation, {flat, scratch}, [&] {
      for (std::size_t round = 0; round < rounds.num_rounds(); ++round) {
        Messages messages = scatter_messages(flat, scratch, rounds, round);
        if (after == AfterSum::kGather && round > 0) append(messages, gather_messages(flat, rounds, round - 1));
        exchange(channel, messages, operation);
        launch_sum(channel, flat, scratch, rounds.range(rank(), round), op);
      }
      if (after == AfterSum::kLeaveScattered) return;
      exchange(channel, gather_messages(flat, rounds, rounds.num_rounds() - 1), operation);
    });
  }

  static void append(Messages& messages, const Messages& more) {
    messages.insert(messages.end(), more.begin(), more.end());
  }

  static at::Tensor part_of(const at::Tensor& flat, SliceRounds::Range range) {
    return flat.narrow(0, static_cast<std::int64_t>(range.begin), static_cast<std::int64_t>(range.count));
  }

  static Message message_of(Message::Way way, const at::Tensor& part, int peer) {
    return {way, bytes_of(part), part.nbytes(), peer};
  }

  /// What others have of this rank's chunk comes to row r of `scratch`; what this rank has of theirs goes to them.
  Messages scatter_messages(const at::Tensor& flat, const at::Tensor& scratch, const SliceRounds& rounds,
                            std::size_t round) const {
    Messages messages;
    const SliceRounds::Range own = rounds.range(rank(), round);
    for_each_peer([&](int source, int target) {
      messages.push_back(message_of(Message::Way::kReceive, part_of(scratch[source], {0, own.count}), source));
      messages.push_back(message_of(Message::Way::kSend, part_of(flat, rounds.range(target, round)), target));
    });
    return messages;
  }

  Messages gather_messages(const at::Tensor& flat, const SliceRounds& rounds, std::size_t round) const {
    Messages messages;
    for_each_peer([&](int source, int target) {
      messages.push_back(message_of(Message::Way::kReceive, part_of(flat, rounds.range(source, round)), source));
      messages.push_back(message_of(Message::Way::kSend, part_of(flat, rounds.range(rank(), round)), target));
    });
    return messages;
  }

  void launch_sum(NcclChannel& channel, const at::Tensor& flat, const at::Tensor& scratch, SliceRounds::Range own,
                  ReduceOp op) {
    std::vector<at::Tensor> parts;
    for (int r = 0; r < size(); ++r) {
      parts.push_back(r == rank() ? part_of(flat, own) : part_of(scratch[r], {0, own.count}));
    }
    gpu_.runtime.launch(channel.stream(),
                        [parts = std::move(parts), own_part = rank(), op] { reduce_parts(parts, own_part, op); });
  }

  GpuLibraries gpu_;
  c10::Device device_;
  std::unique_ptr<ProcessGroup> host_;
  std::shared_ptr<NcclLinks> links_;
  std::size_t scratch_bytes_;
  OwnedGpuEvent compute_is_done_;
  std::uint64_t bytes_sent_ = 0;
};

}  // namespace

std::unique_ptr<ProcessGroup> make_nccl_process_group(GpuLibraries gpu, c10::Device device,
                                                      std::shared_ptr<Communicator> communicator, std::string name,
                                                      const NcclGroupOptions& options) {
  return std::make_unique<NcclProcessGroup>(gpu, device, std::move(communicator), std::move(name), options);
}

}  // namespace meshfold::dist
