#include "jobs/plan/traffic_plan.hpp"

#include <algorithm>

#include "jobs/train/gradient_buckets.hpp"

namespace meshfold::jobs {
namespace {

constexpr std::int64_t kFloat = 4, kDouble = 8, kMark = 4;
constexpr std::int64_t kSlicesFrom = 64 << 10;  ///< bytes from which MpiProcessGroup sums slices

std::int64_t all_reduce(std::int64_t bytes, std::int64_t ranks) {
  return bytes < kSlicesFrom ? bytes * (ranks - 1) : 2 * bytes * (ranks - 1) / ranks;
}

/// Elements whose gradients are parts of a sum over the tensor axis.
std::int64_t partial_elements(const models::ParameterStore& store, const ElementRanges& owned) {
  std::int64_t count = 0;
  for (const ElementRange& range : owned) {
    for (const models::Parameter& parameter : store) {
      if (!parameter.spec.gradient_is_partial()) continue;
      const std::int64_t begin = std::max(parameter.view.offset, range.begin);
      count += std::max<std::int64_t>(0, std::min(parameter.view.offset + parameter.num_elements, range.end) - begin);
    }
  }
  return count;
}

/// Rows of one pack on the tensor axis.
struct TensorRows {
  std::int64_t tokens, own, others, width;  ///< others: tensor ranks beside this one

  std::int64_t gather(std::int64_t element_bytes) const { return own * width * element_bytes * others; }
  std::int64_t reduce() const { return (tokens - own) * width * kFloat; }
};

std::int64_t layer_forward(const RankGeometry& rank, const TensorRows& rows) {
  const std::int64_t pair = rows.gather(rank.compute_bytes) + rows.reduce();
  // Uncut attention brings query, key and value of all rows together.
  return (rank.cuts_attention ? pair : 3 * rows.gather(rank.compute_bytes)) + (rank.cuts_feed_forward ? pair : 0);
}

std::int64_t layer_backward(const RankGeometry& rank, const TensorRows& rows) {
  const std::int64_t pair = rows.gather(rank.compute_bytes) + rows.reduce();
  return (rank.cuts_attention ? pair : rows.gather(rank.compute_bytes)) + (rank.cuts_feed_forward ? pair : 0) +
         (rank.recomputes ? layer_forward(rank, rows) : 0);
}

std::int64_t tensor_bytes(const RankGeometry& rank, const PackShape& pack) {
  const TensorRows rows{pack.tokens, rank.own_rows(pack.tokens), rank.mesh.tensor - 1, rank.model.hidden_size};
  std::int64_t forward = 0, backward = 0;
  if (rank.is_first() && rank.cuts_words) {
    const TensorRows words{rows.tokens, rows.own, rows.others, rank.model.embedding_size};
    forward += words.reduce();
    if (!rank.rates.freeze_embeddings) backward += words.gather(kFloat);
  }
  for (std::int64_t layer = rank.layers.first; layer < rank.layers.end; ++layer) {
    forward += layer_forward(rank, rows);
    if (rank.goes_back(layer)) backward += layer_backward(rank, rows);
  }
  if (rank.is_last()) forward += (rank.model.num_layers - rank.first_state + 1) * rows.gather(kFloat);
  return rank.forward_passes * forward + backward;
}

/// What goes over the boundary before a layer: the hidden state, relative embeddings, states that the pooler reads.
struct Boundary {
  std::int64_t forward = kMark, backward = kMark;
};

Boundary boundary_before(const RankGeometry& rank, std::int64_t layer, const PackShape& pack) {
  const auto learns = [&](std::int64_t state) {
    return !rank.rates.freeze_embeddings || state > rank.rates.freeze_lower_layers;
  };
  Boundary boundary;
  if (pack.tokens == 0) return boundary;
  const auto add = [&](std::int64_t rows, bool goes_back) {
    const std::int64_t bytes = rows * rank.model.hidden_size * kFloat;
    boundary.forward += bytes;
    if (goes_back) boundary.backward += bytes;
  };
  const std::int64_t rows = rank.own_rows(pack.tokens);
  add(rows, learns(layer));
  add(pack.slots, !rank.rates.freeze_embeddings);
  const std::int64_t for_head = rank.rows_for_head == models::QueryRows::kFirst ? pack.inputs : rows;
  for (std::int64_t state = rank.first_state; state < layer; ++state) add(for_head, learns(state));
  return boundary;
}

}  // namespace

RankTraffic& RankTraffic::operator+=(const RankTraffic& other) {
  data += other.data;
  pipeline += other.pipeline;
  tensor += other.tensor;
  return *this;
}

RankTraffic exchange_traffic(const RankGeometry& rank, const models::ParameterStore& store, const RunConfig& config,
                             std::int64_t blocks_of_model) {
  const bool shares = config.mesh.shard_optimizer && rank.mesh.data > 1;
  const auto buckets = gradient_buckets(store, shares ? rank.mesh.data : 1, bucket_bytes(config.mesh));
  const ElementRanges owned = owned_elements(buckets, shares ? rank.place.data : 0);
  const std::int64_t norms = rank.mesh.tensor * blocks_of_model * kDouble;
  RankTraffic sent;
  for (const GradientBucket& bucket : buckets) {
    if (shares) {
      const std::int64_t own = bucket.shares[static_cast<std::size_t>(rank.place.data)].size();
      sent.data += kFloat * (bucket.range.size() - own) + kFloat * own * (rank.mesh.data - 1);
    } else {
      sent.data += all_reduce(kFloat * bucket.range.size(), rank.mesh.data);
    }
  }
  if (shares) sent.data += all_reduce(norms, rank.mesh.data);
  sent.pipeline = all_reduce(norms, rank.mesh.pipeline);
  sent.tensor =
      all_reduce(norms, rank.mesh.tensor) + all_reduce(kFloat * partial_elements(store, owned), rank.mesh.tensor);
  return sent;
}

RankTraffic pack_traffic(const RankGeometry& rank, const PackShape& pack) {
  RankTraffic sent;
  if (!rank.is_last()) sent.pipeline += rank.forward_passes * boundary_before(rank, rank.layers.end, pack).forward;
  if (!rank.is_first()) sent.pipeline += boundary_before(rank, rank.layers.first, pack).backward;
  if (rank.mesh.tensor > 1 && pack.tokens > 0) sent.tensor = tensor_bytes(rank, pack);
  return sent;
}

}  // namespace meshfold::jobs
