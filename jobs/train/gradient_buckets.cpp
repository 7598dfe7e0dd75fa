#include "jobs/train/gradient_buckets.hpp"

#include <algorithm>
#include <span>

#include "models/gradients/parameter_blocks.hpp"

namespace meshfold::jobs {
namespace {

/// Parameters [first, end) of a store.
struct Run {
  std::size_t first, end;
};

std::vector<Run> cut(const models::ParameterStore& store, std::int64_t bucket_bytes) {
  std::vector<Run> runs;
  std::int64_t bytes = bucket_bytes;  // of the open run; as many: the next parameter begins another
  for (std::size_t p = store.size(); p-- > 0;) {
    if (store[p].spec.rate == 0.0) {
      bytes = bucket_bytes;
      continue;
    }
    if (bytes >= bucket_bytes) {
      runs.push_back({p, p + 1});
      bytes = 0;
    }
    runs.back().first = p;
    bytes += store[p].num_elements * static_cast<std::int64_t>(sizeof(float));
  }
  std::ranges::reverse(runs);
  return runs;
}

}  // namespace

std::vector<GradientBucket> gradient_buckets(const models::ParameterStore& store, int data_ranks,
                                             std::int64_t bucket_bytes) {
  const std::vector<models::ParameterBlock> blocks = models::parameter_blocks(store);
  const auto block_of = [&](std::size_t parameter) {
    const auto found = std::ranges::lower_bound(blocks, parameter, {}, &models::ParameterBlock::parameter);
    return static_cast<std::size_t>(found - blocks.begin());
  };
  std::vector<GradientBucket> buckets;
  for (const Run& run : cut(store, bucket_bytes)) {
    const std::size_t first = block_of(run.first), end = block_of(run.end);
    const models::Parameter& last = store[run.end - 1];
    GradientBucket bucket;
    bucket.range = {store[run.first].view.offset, last.view.offset + last.num_elements};
    for (const std::size_t share : models::share_blocks(std::span(blocks).subspan(first, end - first), data_ranks)) {
      bucket.first_blocks.push_back(first + share);
    }
    const auto place = [&](std::size_t block) { return block == end ? bucket.range.end : blocks[block].begin; };
    for (std::size_t r = 0; r + 1 < bucket.first_blocks.size(); ++r) {
      bucket.shares.push_back({place(bucket.first_blocks[r]), place(bucket.first_blocks[r + 1])});
    }
    buckets.push_back(std::move(bucket));
  }
  return buckets;
}

ElementRanges owned_elements(const std::vector<GradientBucket>& buckets, int data_rank) {
  ElementRanges owned;
  for (const GradientBucket& bucket : buckets) {
    const ElementRange& share = bucket.shares[static_cast<std::size_t>(data_rank)];
    if (share.size() == 0) continue;
    if (!owned.empty() && owned.back().end == share.begin) {
      owned.back().end = share.end;
    } else {
      owned.push_back(share);
    }
  }
  return owned;
}

std::int64_t num_elements(const ElementRanges& ranges) {
  std::int64_t sum = 0;
  for (const ElementRange& range : ranges) sum += range.size();
  return sum;
}

}  // namespace meshfold::jobs
