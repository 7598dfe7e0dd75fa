#include "dist/gpu/tensor_reduction.hpp"

#include <ATen/ops/where.h>

#include "dist/reduce_kernel.hpp"
#include "dist/reduction_tree.hpp"

namespace meshfold::dist {

void check_reducible(at::ScalarType type, ReduceOp op) { static_cast<void>(find_reduce_kernel(type, op)); }

void reduce_parts(std::vector<at::Tensor> parts, int own, ReduceOp op) {
  const at::Tensor destination = parts[static_cast<std::size_t>(own)];
  reduce_in_tree_order(parts, [op](at::Tensor& a, const at::Tensor& b) {
    if (op == ReduceOp::kSum) {
      a.add_(b);
    } else {
      // at::maximum treats NaN alike but may prefer another of two zeros.
      const at::Tensor is_better = op == ReduceOp::kMax ? b.gt(a) : b.lt(a);
      a.copy_(at::where(is_better.logical_or(b.ne(b)), b, a));
    }
  });
  if (own != 0) destination.copy_(parts[0]);
}

}  // namespace meshfold::dist
