#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace meshfold::data {

/// What is placed into one fold as a whole: a sample, or all samples of a group.
struct FoldUnit {
  struct Count {
    std::uint32_t label;
    double samples;  ///< of this unit with that label
  };
  std::vector<Count> counts;  ///< the label after the last real one counts the unit's samples themselves
  std::uint64_t draw = 0;     ///< breaks ties
};

/// Label counts of folds while units are placed, and how far they are from even: the sum over labels and folds of
/// (count / label's total - 1 / folds)^2.
class FoldBalancer {
 public:
  /// `totals` [labels]: samples of each label over all units.
  FoldBalancer(std::span<const double> totals, int num_folds);

  /// Change of the unevenness if the unit joined the fold, or left it.
  double gain_of_adding(const FoldUnit& unit, int fold) const { return gain(unit, fold, 1.0); }
  double gain_of_removing(const FoldUnit& unit, int fold) const { return gain(unit, fold, -1.0); }
  void add(const FoldUnit& unit, int fold) { change(unit, fold, 1.0); }
  void remove(const FoldUnit& unit, int fold) { change(unit, fold, -1.0); }

 private:
  double gain(const FoldUnit& unit, int fold, double sign) const;
  void change(const FoldUnit& unit, int fold, double sign);

  std::size_t num_labels_;
  std::vector<double> weights_;     ///< [labels] 1 / total^2
  std::vector<double> deviations_;  ///< [folds, labels] count - total / folds
};

/// Moves units between folds, and exchanges them, while that makes the folds more even. Deterministic: candidates are
/// drawn from the seed. `folds` [units] is changed in place. `may_move` = false keeps the number of units of each fold.
void improve_folds(FoldBalancer& balancer, std::span<const FoldUnit> units, int num_folds, bool may_move,
                   std::uint32_t seed, std::vector<std::int16_t>& folds);

}  // namespace meshfold::data
