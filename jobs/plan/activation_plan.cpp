// Shapes: T tokens of a pack, R of them this tensor rank's, H hidden size, I width of the feed-forward block, A slots
// of relative embeddings, c bytes of the compute type, t tensor ranks. What is kept and made follows the blocks of
// models/encoder_layer.cpp and models/ops one by one; tests hold it against a count of tensors.
#include "jobs/plan/activation_plan.hpp"

#include <algorithm>

namespace meshfold::jobs {
namespace {

constexpr std::int64_t kFloat = 4, kIndex = 8;

/// The sizes of one pack on one rank, in bytes.
class PackBytes {
 public:
  PackBytes(const RankGeometry& rank, const PackShape& pack)
      : rank_(rank),
        c_(rank.compute_bytes),
        T_(pack.tokens),
        R_(rank.own_rows(pack.tokens)),
        H_(rank.model.hidden_size),
        A_(pack.slots),
        of_attention_(rank.cuts_attention ? rank.mesh.tensor : 1),
        of_feed_forward_(rank.cuts_feed_forward ? rank.mesh.tensor : 1),
        I_(rank.model.intermediate_size / of_feed_forward_),
        positions_(A_ * rank.position_projections * H_ / of_attention_) {}

  /// Kept for backward from the end of forward on.
  std::int64_t kept() const {
    std::int64_t bytes = 3 * kIndex * T_;
    if (rank_.is_first() && !rank_.rates.freeze_embeddings) {
      bytes += norm(kFloat) + A_ * (H_ + 1) * kFloat;
      if (rank_.model.embedding_size != H_) bytes += R_ * rank_.model.embedding_size * c_;
    }
    for (std::int64_t layer = rank_.layers.first; layer < rank_.layers.end; ++layer) {
      if (rank_.goes_back(layer)) bytes += rank_.recomputes ? R_ * H_ * kFloat : layer_kept();
    }
    if (!rank_.is_first()) bytes += stream();
    if (!rank_.is_last()) bytes += R_ * H_ * kFloat;
    return bytes;
  }

  /// Of the block that makes most at the end of forward, beside kept().
  std::int64_t working_forward() const {
    const bool cut = rank_.cuts_feed_forward;
    std::int64_t bytes = feed_forward_rows() * I_ * c_ - norm(c_) + A_ * H_ * kFloat;
    bytes += cut ? T_ * H_ * kFloat : R_ * H_ * c_;
    if (cut || c_ < kFloat) bytes += R_ * H_ * kFloat;  // the residual is no other block's input
    if (cut && c_ < kFloat) bytes += (T_ + H_) * I_ * kFloat;
    return bytes;
  }

  /// Of the block that makes most at the beginning of backward, beside kept().
  std::int64_t working_backward() const {
    const std::int64_t residual = R_ * H_ * kFloat;
    const std::int64_t from_behind = rank_.is_last() ? 0 : stream();
    std::int64_t feed_forward = residual + 2 * feed_forward_rows() * I_ * c_;
    if (rank_.cuts_feed_forward) feed_forward += T_ * H_ * c_;
    // Attention's backward comes when the feed-forward block's share has gone.
    const std::int64_t attention =
        residual + T_ * 4 * H_ / of_attention_ * c_ + 6 * positions_ * kFloat - feed_forward_kept() - norm(c_);
    return std::max(feed_forward, attention) + from_behind + (rank_.recomputes ? layer_kept() : 0);
  }

  /// What travels between stages.
  std::int64_t stream() const { return (R_ + A_) * H_ * kFloat; }

 private:
  std::int64_t attention_rows() const { return rank_.cuts_attention ? T_ : R_; }
  std::int64_t feed_forward_rows() const { return rank_.cuts_feed_forward ? T_ : R_; }
  std::int64_t norm(std::int64_t element_bytes) const { return R_ * H_ * element_bytes + R_ * kFloat; }
  std::int64_t feed_forward_kept() const { return feed_forward_rows() * (H_ + I_) * c_ + norm(c_); }
  std::int64_t layer_kept() const {
    const std::int64_t statistics = rank_.model.num_heads / of_attention_ * T_ * kFloat;
    const std::int64_t attention = attention_rows() * H_ * c_ + T_ * 3 * H_ / of_attention_ * c_ +
                                   (rank_.cuts_attention ? T_ * H_ / of_attention_ : R_ * H_) * c_ + statistics;
    return attention + A_ * H_ * c_ + positions_ * c_ + norm(c_) + feed_forward_kept();
  }

  const RankGeometry& rank_;
  std::int64_t c_, T_, R_, H_, A_, of_attention_, of_feed_forward_, I_, positions_;
};

}  // namespace

StepPeak step_peak(const RankGeometry& rank, const PipelineSchedule& schedule, std::span<const PackShape> packs) {
  StepPeak peak;
  std::int64_t held = 0, sent_back = 0;
  const auto look = [&](std::int64_t working) {
    if (held + working > peak.total()) peak = {held, working};
  };
  for (const Cell& cell : schedule.cells[static_cast<std::size_t>(rank.place.pipeline)]) {
    const PackShape& pack = packs[static_cast<std::size_t>(cell.pack)];
    if (pack.tokens == 0) continue;
    const PackBytes bytes(rank, pack);
    if (cell.phase == Phase::kForward) {
      held += bytes.kept();
      look(bytes.working_forward());
    } else {
      look(bytes.working_backward() + sent_back);
      held -= bytes.kept();
      // Gradients for the stage before stay until it has taken them.
      if (!rank.is_first()) sent_back = std::min(sent_back + bytes.stream(), rank.mesh.pipeline * bytes.stream());
    }
  }
  return peak;
}

}  // namespace meshfold::jobs
