#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "dist/reduce_kernel.hpp"
#include "dist/transfers.hpp"

namespace meshfold::dist {

class Communicator;

/// One all-reduce under way on a plain array. Driven by advance(); the sums are added in the order of
/// reduction_tree.hpp, so neither the cut into slices and rounds nor the time of arrival shows in the result.
class AllReduce {
 public:
  struct Array {
    std::byte* elements;
    std::size_t count;
    std::size_t element_bytes;
  };

  virtual ~AllReduce() = default;
  /// Lets MPI work and takes the steps that became possible; true once `array` holds the result.
  virtual bool advance() = 0;
  /// Grows with every completed part.
  virtual std::size_t num_done() const = 0;

  /// Every rank sends its whole array to every other: one exchange, for arrays where latency decides. `array` must stay
  /// until advance() has returned true; `tag` and `tag + 1` are this operation's own.
  static std::unique_ptr<AllReduce> by_gathering(const Communicator& communicator, Array array, ReduceKernel kernel,
                                                 int tag);
  /// Rank r reduces slice r, and the slices are gathered. Cut into rounds that overlap, so that a round's sums are
  /// added while the next ones travel, and all scratch stays in the cache. Same conditions as by_gathering.
  static std::unique_ptr<AllReduce> by_slices(const Communicator& communicator, Array array, ReduceKernel kernel,
                                              int tag);
  /// The first half alone: rank r's slice, rows[r] rows of `row_elements`, is reduced and the rest of `array` is spent.
  static std::unique_ptr<AllReduce> to_slices(const Communicator& communicator, Array array,
                                              std::span<const std::int64_t> rows, std::size_t row_elements,
                                              ReduceKernel kernel, int tag);
};

}  // namespace meshfold::dist
