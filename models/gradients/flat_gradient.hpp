#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

#include "models/gradients/written_blocks.hpp"

namespace meshfold::models {

/// The gradient of a whole store, and what is known of where it is zero. Of a tensor alone nothing is known.
struct FlatGradient {
  explicit FlatGradient(at::Tensor all, const WrittenBlocks* of_all = nullptr)
      : values(std::move(all)), written(of_all) {}

  /// Whether elements [begin, end) are zero without a look at them.
  bool is_known_zero(std::int64_t begin, std::int64_t end) const {
    return written != nullptr && !written->any(begin, end);
  }

  at::Tensor values;             ///< fp32 [ParameterStore::num_elements()]
  const WrittenBlocks* written;  ///< null: any element may be something else than zero
};

}  // namespace meshfold::models
