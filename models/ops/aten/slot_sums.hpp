#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "models/ops/problems/relative_slots.hpp"

namespace meshfold::models::ops::aten {

/// The relative slots of a strip of queries against all keys of an input of L tokens, on a device; A slots in all. A
/// slot is that of one range of distances, so a query's keys and a key's queries of one slot lie together: sums over
/// them are sums of segments, which are added in a fixed order, as scattered additions on a GPU are not.
class StripSlots {
 public:
  /// The `count` queries from `first` on.
  StripSlots(const RelativeSlots& slots, std::int64_t length, std::int64_t first, std::int64_t count,
             at::Device device);

  /// values [B, H, Q, A] of queries, as [B, H, Q, L]: each key's slot's.
  at::Tensor of_keys(const at::Tensor& values) const;
  /// values [B, H, L, A] of keys, as [B, H, Q, L]: each query's slot's.
  at::Tensor of_queries(const at::Tensor& values) const;
  /// The gradient of of_keys(): [B, H, Q, L] summed over the keys of each slot, [B, H, Q, A].
  at::Tensor sum_over_keys(const at::Tensor& scores) const;
  /// The gradient of of_queries(): [B, H, Q, L] summed over the queries of each slot, [B, H, L, A].
  at::Tensor sum_over_queries(const at::Tensor& scores) const;

 private:
  at::Tensor slot_;             ///< int64 [Q, L]
  at::Tensor keys_of_slot_;     ///< how many, int64 [Q, A]
  at::Tensor queries_of_slot_;  ///< how many, int64 [L, A]
};

}  // namespace meshfold::models::ops::aten
