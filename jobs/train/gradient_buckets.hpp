#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "jobs/train/optimizer.hpp"

namespace meshfold::jobs {

/// Neighbouring parameters, all learning, whose gradients data ranks exchange together (Li et al., "PyTorch
/// Distributed", 2020).
struct GradientBucket {
  ElementRange range;
  /// [data ranks + 1] Where each rank's share begins, among the store's models::parameter_blocks().
  std::vector<std::size_t> first_blocks;
  std::vector<ElementRange> shares;  ///< [data ranks]
};

inline constexpr std::int64_t kBucketBytes = std::int64_t{25} << 20;

/// The buckets of a store in the order of its storage, each of whole parameters with at least `bucket_bytes` of fp32
/// gradients, or of all that is left: cut from the end, as backward completes gradients. Each bucket is divided among
/// the data ranks by itself, so that its traffic is, too. Frozen parameters are in none.
std::vector<GradientBucket> gradient_buckets(const models::ParameterStore& store, int data_ranks,
                                             std::int64_t bucket_bytes = kBucketBytes);

/// What `data_rank` owns of them.
ElementRanges owned_elements(const std::vector<GradientBucket>& buckets, int data_rank);

/// The number of elements in the ranges.
std::int64_t num_elements(const ElementRanges& ranges);

}  // namespace meshfold::jobs
