// Shapes: T tokens and S texts of a pack, R of the tokens this tensor rank's, H hidden size, I width of the
// feed-forward block, A slots of relative embeddings, c bytes of the compute type, t tensor ranks. What is kept and
// made follows the blocks of models/networks/encoder_layer.cpp and models/ops one by one; tests hold it against a count
// of tensors.
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
        S_(pack.inputs),
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
      bytes += kept_of(layer);
    }
    if (!rank_.is_first()) bytes += stream();
    if (!rank_.is_last()) bytes += R_ * H_ * kFloat;
    return bytes;
  }

  /// Of the block that makes most in forward, beside kept(). A last layer that computes first tokens makes little, and
  /// what it keeps is not there yet when the layer before it makes most.
  std::int64_t working_forward() const {
    if (!rank_.computes_first_tokens(last_layer())) return layer_forward();
    const std::int64_t own = (c_ < kFloat ? T_ * H_ * kFloat : 0) + A_ * H_ * kFloat;
    return has_layer_before() ? std::max(own, layer_forward() - kept_of(last_layer())) : own;
  }

  /// Of the block that makes most in backward, beside kept(); in the layer before one that computes first tokens, what
  /// the latter kept has gone.
  std::int64_t working_backward() const {
    const std::int64_t from_behind = rank_.is_last() ? 0 : stream();
    const std::int64_t whole = layer_backward() + (rank_.recomputes ? layer_kept() : 0);
    if (!rank_.computes_first_tokens(last_layer())) return whole + from_behind;
    const std::int64_t own =
        T_ * 2 * H_ * c_ + positions_ * kFloat + (rank_.recomputes ? layer_of_first_tokens_kept() : 0);
    return has_layer_before() ? std::max(own, whole - kept_of(last_layer())) : own;
  }

  /// What travels between stages.
  std::int64_t stream() const { return (R_ + A_) * H_ * kFloat; }

 private:
  std::int64_t last_layer() const { return rank_.layers.end - 1; }
  bool has_layer_before() const { return rank_.layers.end - rank_.layers.first > 1; }

  std::int64_t kept_of(std::int64_t layer) const {
    if (!rank_.goes_back(layer)) return 0;
    if (rank_.recomputes) return R_ * H_ * kFloat;
    return rank_.computes_first_tokens(layer) ? layer_of_first_tokens_kept() : layer_kept();
  }

  /// Of the block of a whole layer that makes most at the end of its forward.
  std::int64_t layer_forward() const {
    const bool cut = rank_.cuts_feed_forward;
    std::int64_t bytes = feed_forward_rows() * I_ * c_ - norm(c_) + A_ * H_ * kFloat;
    bytes += cut ? T_ * H_ * kFloat : R_ * H_ * c_;
    if (cut || c_ < kFloat) bytes += R_ * H_ * kFloat;  // the residual is no other block's input
    if (cut && c_ < kFloat) bytes += (T_ + H_) * I_ * kFloat;
    return bytes;
  }

  /// The same in backward.
  std::int64_t layer_backward() const {
    const std::int64_t residual = R_ * H_ * kFloat;
    std::int64_t feed_forward = residual + 2 * feed_forward_rows() * I_ * c_;
    if (rank_.cuts_feed_forward) feed_forward += T_ * H_ * c_;
    // Attention's backward comes when the feed-forward block's share has gone.
    const std::int64_t attention =
        residual + T_ * 4 * H_ / of_attention_ * c_ + 6 * positions_ * kFloat - feed_forward_kept() - norm(c_);
    return std::max(feed_forward, attention);
  }

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
  /// Of keys and values all rows, of the rest S, and of the relative slots the half that first tokens touch.
  std::int64_t layer_of_first_tokens_kept() const {
    const std::int64_t feed_forward = S_ * (H_ + I_) * c_, norms = 2 * (S_ * H_ * c_ + S_ * kFloat);
    return 3 * T_ * H_ * c_ + 3 * S_ * H_ * c_ + rank_.model.num_heads * S_ * kFloat + (A_ * H_ + positions_) * c_ / 2 +
           norms + feed_forward;
  }

  const RankGeometry& rank_;
  std::int64_t c_, T_, S_, R_, H_, A_, of_attention_, of_feed_forward_, I_, positions_;
};

}  // namespace

StepPeak step_peak(const RankGeometry& rank, const PipelineSchedule& schedule, std::span<const PackShape> packs) {
  StepPeak peak;
  std::int64_t held = 0, sent_back = 0;
  const auto look = [&](std::int64_t working) {
    if (held + working > peak.total()) peak = {held, working};
  };
  for (const PipelineCell& cell : schedule.cells[static_cast<std::size_t>(rank.place.pipeline)]) {
    const PackShape& pack = packs[static_cast<std::size_t>(cell.pack)];
    if (pack.tokens == 0) continue;
    const PackBytes bytes(rank, pack);
    if (cell.phase == PipelinePhase::kForward) {
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
