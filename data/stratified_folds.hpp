#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/folds.hpp"

namespace meshfold::data {

/// Which labels each sample has: any number of 0 .. num_labels - 1, each at most once. A class is one label a sample; a
/// multi-label row has one for each that is set; binned values have one a column.
struct SampleLabels {
  std::vector<std::vector<std::int32_t>> of_sample;
  std::vector<std::string> names;  ///< [num_labels], for messages: "positive", "score in bin 3 of 10"

  std::size_t num_samples() const { return of_sample.size(); }
  std::size_t num_labels() const { return names.size(); }
};

/// Cuts values into at most `num_bins` bins of near-equal numbers of samples, equal values together; where there are no
/// more distinct values than bins each is its own. Returns the bin of each value, numbered from 0 in ascending order.
/// Throws std::invalid_argument for num_bins < 2.
std::vector<std::int32_t> cut_into_bins(std::span<const float> values, int num_bins);

/// Folds in which every label's share is as in the whole, as far as it goes. Without groups (empty) samples are dealt
/// one by one and fold sizes differ by at most one; with groups whole groups are. Samples of one label each are dealt
/// label by label, as exact as can be; else samples (groups) are placed greedily, rarest label (largest group) first,
/// where the squared deviation of label counts grows least, and then moved and exchanged while that helps. Related:
/// Sechidis et al., "On the stratification of multi-label data", 2011; scikit-learn's StratifiedGroupKFold. Decided by
/// the seed alone. Throws std::invalid_argument for more folds than samples or groups.
FoldAssignment make_stratified_folds(const SampleLabels& labels, std::span<const std::int32_t> groups, int num_folds,
                                     std::uint32_t seed);

/// How far a split is from the whole: of all folds and labels the largest |share in the fold - share in the whole|.
struct LabelDeviation {
  double largest = 0;
  int fold = 0;
  std::size_t label = 0;
};
LabelDeviation deviation_of(const SampleLabels& labels, const FoldAssignment& folds, int num_folds);

}  // namespace meshfold::data
