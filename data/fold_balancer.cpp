#include "data/fold_balancer.hpp"

#include "base/philox.hpp"

namespace meshfold::data {
namespace {

constexpr int kMaxRounds = 12;
constexpr std::uint32_t kCandidates = 24;  ///< units tried for an exchange, a unit and round
constexpr double kLeastGain = 1e-15;       ///< rounding is no gain

/// Number `index` of the draws of a unit in a round; the third counter word keeps them apart from fold draws.
std::uint32_t draw_candidate(std::uint32_t unit, std::uint32_t round, std::uint32_t index, std::uint32_t seed) {
  const auto key = base::make_philox_key(seed, base::DrawPurpose::kFoldAssignment, 0, 0);
  return base::philox4x32_10({unit, round + 1, 1 + index / 4, 0}, key)[index % 4];
}

}  // namespace

FoldBalancer::FoldBalancer(std::span<const double> totals, int num_folds) : num_labels_(totals.size()) {
  for (const double total : totals) weights_.push_back(total > 0 ? 1.0 / (total * total) : 0.0);
  deviations_.reserve(num_labels_ * static_cast<std::size_t>(num_folds));
  for (int fold = 0; fold < num_folds; ++fold) {
    for (const double total : totals) deviations_.push_back(-total / num_folds);
  }
}

double FoldBalancer::gain(const FoldUnit& unit, int fold, double sign) const {
  const double* deviations = &deviations_[static_cast<std::size_t>(fold) * num_labels_];
  double sum = 0;
  for (const auto& [label, samples] : unit.counts) {
    sum += weights_[label] * samples * (samples + sign * 2.0 * deviations[label]);
  }
  return sum;
}

void FoldBalancer::change(const FoldUnit& unit, int fold, double sign) {
  double* deviations = &deviations_[static_cast<std::size_t>(fold) * num_labels_];
  for (const auto& [label, samples] : unit.counts) deviations[label] += sign * samples;
}

namespace {

/// The search itself, one unit after the other.
class Improvement {
 public:
  Improvement(FoldBalancer& balancer, std::span<const FoldUnit> units, int num_folds, std::uint32_t seed,
              std::vector<std::int16_t>& folds)
      : balancer_(balancer), units_(units), num_folds_(num_folds), seed_(seed), folds_(folds) {}

  bool try_move(std::uint32_t unit) {
    const FoldUnit& moved = units_[unit];
    const int from = folds_[unit];
    const double leaving = balancer_.gain_of_removing(moved, from);
    int best = from;
    double best_gain = -kLeastGain;
    for (int fold = 0; fold < num_folds_; ++fold) {
      if (fold == from) continue;
      const double gain = leaving + balancer_.gain_of_adding(moved, fold);
      if (gain < best_gain) {
        best = fold;
        best_gain = gain;
      }
    }
    if (best == from) return false;
    balancer_.remove(moved, from);
    balancer_.add(moved, best);
    folds_[unit] = static_cast<std::int16_t>(best);
    return true;
  }

  bool try_exchanges(std::uint32_t unit, std::uint32_t round) {
    bool changed = false;
    for (std::uint32_t index = 0; index < kCandidates; ++index) {
      const auto other =
          static_cast<std::uint32_t>(draw_candidate(unit, round, index, seed_) % std::uint64_t{units_.size()});
      changed = (folds_[unit] != folds_[other] && try_exchange(unit, other)) || changed;
    }
    return changed;
  }

 private:
  bool try_exchange(std::uint32_t one, std::uint32_t two) {
    const int fold_one = folds_[one], fold_two = folds_[two];
    const double removing =
        balancer_.gain_of_removing(units_[one], fold_one) + balancer_.gain_of_removing(units_[two], fold_two);
    balancer_.remove(units_[one], fold_one);
    balancer_.remove(units_[two], fold_two);
    const double adding =
        balancer_.gain_of_adding(units_[one], fold_two) + balancer_.gain_of_adding(units_[two], fold_one);
    const bool helps = removing + adding < -kLeastGain;
    balancer_.add(units_[one], helps ? fold_two : fold_one);
    balancer_.add(units_[two], helps ? fold_one : fold_two);
    if (helps) std::swap(folds_[one], folds_[two]);
    return helps;
  }

  FoldBalancer& balancer_;
  std::span<const FoldUnit> units_;
  int num_folds_;
  std::uint32_t seed_;
  std::vector<std::int16_t>& folds_;
};

}  // namespace

void improve_folds(FoldBalancer& balancer, std::span<const FoldUnit> units, int num_folds, bool may_move,
                   std::uint32_t seed, std::vector<std::int16_t>& folds) {
  Improvement improvement(balancer, units, num_folds, seed, folds);
  const auto num_units = static_cast<std::uint32_t>(units.size());
  bool changed = true;
  for (std::uint32_t round = 0; changed && round < kMaxRounds; ++round) {
    changed = false;
    for (std::uint32_t unit = 0; unit < num_units; ++unit) {
      if (may_move) changed = improvement.try_move(unit) || changed;
      changed = improvement.try_exchanges(unit, round) || changed;
    }
  }
}

}  // namespace meshfold::data
