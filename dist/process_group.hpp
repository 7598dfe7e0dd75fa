#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace meshfold::dist {

enum class ReduceOp { kSum, kMax, kMin };

/// An operation under way. Keeps its buffers alive; wait() returns when this rank's part is complete or throws
/// PeerLost once the group's deadline has passed. Destroying an unfinished Work is our own mistake (it asserts).
class Work {
 public:
  virtual ~Work() = default;
  virtual void wait() = 0;
  /// Lets this rank's part advance as far as it can without waiting; true once it is complete. A back end that works on
  /// by itself, or only in wait(), may always say false. Throws as wait() does, but knows no deadline.
  virtual bool test() { return false; }
};

/// A fixed, ordered set of ranks that exchange tensors. Every method is collective over the group unless it says
/// otherwise, and every rank calls with the same shapes, dtypes and order. Tensors are dense and contiguous and are
/// overwritten in place where they carry results. Real forms: SingleProcessGroup, MpiProcessGroup (host tensors) and
/// NcclProcessGroup (tensors on a GPU); a CheckedProcessGroup around one of them finds calls that do not match.
/// Throws PeerLost on a missed deadline, MpiError, NcclError or CudaError on a library's failure, and CallMismatch
/// where calls are checked.
class ProcessGroup {
 public:
  virtual ~ProcessGroup() = default;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// For messages: "data axis of fold-1", say.
  virtual const std::string& name() const = 0;

  /// `tensor` (any shape; float, double, int32 or int64) becomes the element-wise reduction over the ranks. Sums are
  /// added in a fixed binary tree over rank order ((0+1)+(2+3)), slice by slice, so the bits are the same on every rank
  /// and in every run, and with a power-of-two size they continue the tree that each rank built over its packs.
  virtual std::unique_ptr<Work> all_reduce(at::Tensor tensor, ReduceOp op) = 0;
  /// `whole` is cut along dim 0: rows[r] rows (zero allowed) are rank r's, in rank order, and add up to its size. On
  /// return this rank's rows hold the sum over the ranks, added in the tree order of all_reduce, and the others are
  /// spent. Types as for all_reduce.
  virtual std::unique_ptr<Work> reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) = 0;
  /// The other way: this rank's rows of `whole` come to all ranks, which then hold the same. Any type.
  virtual std::unique_ptr<Work> all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) = 0;
  /// `tensor` of every rank becomes that of `root`.
  virtual std::unique_ptr<Work> broadcast(at::Tensor tensor, int root) = 0;
  /// Equal shapes; result[r] is a copy of rank r's tensor.
  virtual std::vector<at::Tensor> all_gather(const at::Tensor& tensor) = 0;
  /// Byte strings of any lengths; result[r] is rank r's. For small control data.
  virtual std::vector<std::string> all_gather_bytes(const std::string& bytes) = 0;
  /// The bytes of `root`, on every rank.
  virtual std::string broadcast_bytes(const std::string& bytes, int root) = 0;
  /// Point to point: not collective; `peer` calls the matching other half with the same tag.
  virtual std::unique_ptr<Work> send(at::Tensor tensor, int peer, int tag) = 0;
  virtual std::unique_ptr<Work> receive(at::Tensor tensor, int peer, int tag) = 0;
  virtual void barrier() = 0;

  /// Payload bytes that this rank has handed to its peers so far.
  virtual std::uint64_t bytes_sent() const = 0;
};

}  // namespace meshfold::dist
