#pragma once

#include <cstddef>
#include <vector>

namespace meshfold::dist {

/// The order in which n summands are added, everywhere: a balanced binary tree over their indices,
/// sum(0..n) = sum(0..h) + sum(h..n) with h the largest power of two below n. With n = ranks x packs_per_rank, both
/// powers of two, a rank's own packs are a subtree, so packs first and ranks afterwards is the same tree: this is what
/// makes the gradient bitwise independent of the number of data ranks.
///
/// Adds in place: on return items[0] holds the sum, the others are spent. `add(a, b)` does a += b.
template <typename Item, typename Add>
void reduce_in_tree_order(std::vector<Item>& items, Add add) {
  for (std::size_t stride = 1; stride < items.size(); stride *= 2) {
    for (std::size_t i = 0; i + stride < items.size(); i += 2 * stride) add(items[i], items[i + stride]);
  }
}

}  // namespace meshfold::dist
