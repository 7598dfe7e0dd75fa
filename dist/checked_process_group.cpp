#include "dist/checked_process_group.hpp"

#include <ATen/ops/empty.h>

#include <algorithm>
#include <sstream>
#include <stdexcept>
#include <utility>

#include "dist/error.hpp"
#include "dist/mpi_process_group.hpp"

namespace meshfold::dist {
namespace {

constexpr std::int64_t kHeaderBytes = 256;  ///< a message's description, cut to this length

const char* name_of(ReduceOp op) { return op == ReduceOp::kSum ? "sum" : op == ReduceOp::kMax ? "max" : "min"; }

std::string describe(const at::Tensor& tensor) {
  if (!tensor.defined()) return "no tensor";
  std::ostringstream text;
  text << c10::toString(tensor.scalar_type()) << " " << tensor.sizes();
  return text.str();
}

std::string describe(std::span<const std::int64_t> rows) {
  std::string text = " in shards of";
  for (const std::int64_t count : rows) text += " " + std::to_string(count);
  return text;
}

/// "rank 0 calls A; ranks 1, 2 call B", in the order of the first rank of each.
std::string tell_apart(const std::vector<std::string>& calls) {
  std::string text;
  for (std::size_t r = 0; r < calls.size(); ++r) {
    if (std::find(calls.begin(), calls.begin() + static_cast<std::ptrdiff_t>(r), calls[r]) <
        calls.begin() + static_cast<std::ptrdiff_t>(r)) {
      continue;
    }
    std::string ranks;
    const auto count = std::ranges::count(calls, calls[r]);
    for (std::size_t other = r; other < calls.size(); ++other) {
      if (calls[other] == calls[r]) ranks += (ranks.empty() ? "" : ", ") + std::to_string(other);
    }
    text += (text.empty() ? "" : "; ") + std::string(count == 1 ? "rank " : "ranks ") + ranks +
            (count == 1 ? " calls " : " call ") + calls[r];
  }
  return text;
}

/// A description as a tensor of fixed size, and back.
at::Tensor to_header(const std::string& text) {
  at::Tensor header = at::empty({kHeaderBytes}, at::kByte);
  header.zero_();
  std::copy_n(text.begin(), std::min<std::size_t>(text.size(), kHeaderBytes - 1),
              header.mutable_data_ptr<std::uint8_t>());
  return header;
}

std::string from_header(const at::Tensor& header) {
  return reinterpret_cast<const char*>(header.const_data_ptr<std::uint8_t>());
}

/// The description, then the message.
class CheckedSend final : public Work {
 public:
  CheckedSend(std::unique_ptr<Work> header, std::unique_ptr<Work> payload)
      : header_(std::move(header)), payload_(std::move(payload)) {}
  void wait() override {
    header_->wait();
    payload_->wait();
  }

 private:
  std::unique_ptr<Work> header_, payload_;
};

/// Takes the message only once its description is known to fit.
class CheckedReceive final : public Work {
 public:
  CheckedReceive(ProcessGroup& group, at::Tensor tensor, int peer, int tag, int header_tag)
      : group_(group),
        tensor_(std::move(tensor)),
        peer_(peer),
        tag_(tag),
        header_(at::empty({kHeaderBytes}, at::kByte)),
        header_work_(group.receive(header_, peer, header_tag)) {}

  void wait() override {
    if (finished_) return;
    header_work_->wait();
    const std::string sent = from_header(header_), wanted = from_header(to_header(describe(tensor_)));
    if (sent != wanted) {
      throw CallMismatch("'" + group_.name() + "', tag " + std::to_string(tag_) + ": rank " + std::to_string(peer_) +
                         " sends " + sent + "; rank " + std::to_string(group_.rank()) + " receives " + wanted);
    }
    group_.receive(tensor_, peer_, tag_)->wait();
    finished_ = true;
  }

 private:
  ProcessGroup& group_;
  at::Tensor tensor_;
  int peer_, tag_;
  at::Tensor header_;
  std::unique_ptr<Work> header_work_;
  bool finished_ = false;
};

class CheckedProcessGroup final : public ProcessGroup {
 public:
  explicit CheckedProcessGroup(std::unique_ptr<ProcessGroup> group) : group_(std::move(group)) {}

  int rank() const override { return group_->rank(); }
  int size() const override { return group_->size(); }
  const std::string& name() const override { return group_->name(); }

  std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) override {
    compare(std::string("all_reduce (") + name_of(op) + ") of " + describe(tensor));
    return group_->all_reduce(std::move(tensor), op);
  }
  std::unique_ptr<Work> reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) override {
    compare("reduce_scatter of " + describe(whole) + describe(rows));
    return group_->reduce_scatter(std::move(whole), rows);
  }
  std::unique_ptr<Work> all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) override {
    compare("all_gather_rows of " + describe(whole) + describe(rows));
    return group_->all_gather_rows(std::move(whole), rows);
  }
  std::unique_ptr<Work> broadcast(at::Tensor tensor, int root) override {
    compare("broadcast of " + describe(tensor) + " from rank " + std::to_string(root));
    return group_->broadcast(std::move(tensor), root);
  }
  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override {
    compare("all_gather of " + describe(tensor));
    return group_->all_gather(tensor);
  }
  std::vector<std::string> all_gather_bytes(const std::string& bytes) override {
    compare("all_gather_bytes");
    return group_->all_gather_bytes(bytes);
  }
  std::string broadcast_bytes(const std::string& bytes, int root) override {
    compare("broadcast_bytes from rank " + std::to_string(root));
    return group_->broadcast_bytes(bytes, root);
  }
  std::unique_ptr<Work> send(at::Tensor tensor, int peer, int tag) override {
    auto header = group_->send(to_header(describe(tensor)), peer, header_tag(tag));
    return std::make_unique<CheckedSend>(std::move(header), group_->send(std::move(tensor), peer, tag));
  }
  std::unique_ptr<Work> receive(at::Tensor tensor, int peer, int tag) override {
    return std::make_unique<CheckedReceive>(*group_, std::move(tensor), peer, tag, header_tag(tag));
  }
  void barrier() override {
    compare("barrier");
    group_->barrier();
  }
  std::uint64_t bytes_sent() const override { return group_->bytes_sent(); }

 private:
  static int header_tag(int tag) {
    if (tag < 0 || tag > kMaxUserTag / 2) {
      throw std::invalid_argument("a checked group takes tags from 0 to " + std::to_string(kMaxUserTag / 2) + ", not " +
                                  std::to_string(tag));
    }
    return kMaxUserTag - tag;
  }

  void compare(const std::string& call) {
    const std::string number = std::to_string(++num_calls_);
    const std::vector<std::string> calls = group_->all_gather_bytes(call);
    if (std::ranges::all_of(calls, [&](const std::string& other) { return other == call; })) return;
    throw CallMismatch("'" + group_->name() + "', call " + number + ": the ranks differ: " + tell_apart(calls));
  }

  std::unique_ptr<ProcessGroup> group_;
  std::uint64_t num_calls_ = 0;
};

}  // namespace

std::unique_ptr<ProcessGroup> make_checked_process_group(std::unique_ptr<ProcessGroup> group) {
  return std::make_unique<CheckedProcessGroup>(std::move(group));
}

}  // namespace meshfold::dist
