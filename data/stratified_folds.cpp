#include "data/stratified_folds.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <tuple>

#include "base/philox.hpp"
#include "data/fold_balancer.hpp"

namespace meshfold::data {
namespace {

std::uint64_t draw_for(std::uint32_t item, std::uint32_t seed) {
  const auto key = base::make_philox_key(seed, base::DrawPurpose::kFoldAssignment, 0, 0);
  const auto draws = base::philox4x32_10({item, 0, 0, 0}, key);
  return std::uint64_t{draws[0]} << 32 | draws[1];
}

std::vector<double> totals_of(const SampleLabels& labels) {
  std::vector<double> totals(labels.num_labels() + 1);
  for (const auto& sample : labels.of_sample) {
    for (const auto label : sample) totals[static_cast<std::size_t>(label)] += 1;
  }
  totals.back() = static_cast<double>(labels.num_samples());
  return totals;
}

void check(const SampleLabels& labels, std::span<const std::int32_t> groups, int num_folds, std::size_t num_units) {
  if (num_folds < 2)
    throw std::invalid_argument("cross-validation needs at least 2 folds, not " + std::to_string(num_folds));
  if (static_cast<std::size_t>(num_folds) > num_units) {
    throw std::invalid_argument("more folds (" + std::to_string(num_folds) + ") than " +
                                (groups.empty() ? "samples (" : "groups (") + std::to_string(num_units) +
                                "); lower cv.folds" + (groups.empty() ? "" : " or choose another data.group"));
  }
  if (!groups.empty() && groups.size() != labels.num_samples()) {
    throw std::invalid_argument(std::to_string(groups.size()) + " group codes for " +
                                std::to_string(labels.num_samples()) + " samples");
  }
}

/// One label a sample: sorted by label, and by chance within it, samples are dealt round robin, so that both a label's
/// counts and the sizes differ by at most one.
FoldAssignment deal_by_label(const SampleLabels& labels, int num_folds, std::uint32_t seed) {
  std::vector<std::tuple<std::int32_t, std::uint64_t, std::uint32_t>> keyed;
  for (std::uint32_t sample = 0; sample < labels.num_samples(); ++sample) {
    keyed.emplace_back(labels.of_sample[sample].front(), draw_for(sample, seed), sample);
  }
  std::ranges::sort(keyed);
  FoldAssignment folds(labels.num_samples());
  for (std::size_t place = 0; place < keyed.size(); ++place) {
    folds[std::get<2>(keyed[place])] = static_cast<std::int16_t>(place % static_cast<std::size_t>(num_folds));
  }
  return folds;
}

/// Units and which of them each sample is in.
struct Units {
  std::vector<FoldUnit> units;
  std::vector<std::uint32_t> of_sample;
};

Units make_units(const SampleLabels& labels, std::span<const std::int32_t> groups, std::uint32_t seed) {
  Units made;
  std::map<std::int32_t, std::uint32_t> unit_of_group;
  std::vector<std::map<std::uint32_t, double>> counts;
  const auto size_label = static_cast<std::uint32_t>(labels.num_labels());
  for (std::uint32_t sample = 0; sample < labels.num_samples(); ++sample) {
    auto unit = static_cast<std::uint32_t>(counts.size());
    if (!groups.empty()) unit = unit_of_group.emplace(groups[sample], unit).first->second;
    if (unit == counts.size()) counts.emplace_back();
    made.of_sample.push_back(unit);
    for (const auto label : labels.of_sample[sample]) counts[unit][static_cast<std::uint32_t>(label)] += 1;
    counts[unit][size_label] += 1;
  }
  made.units.resize(counts.size());
  for (std::uint32_t unit = 0; unit < counts.size(); ++unit) {
    made.units[unit].draw = draw_for(unit, seed);
    for (const auto& [label, samples] : counts[unit]) made.units[unit].counts.push_back({label, samples});
  }
  return made;
}

/// Hard ones first: those that hold a large share of some label.
std::vector<std::uint32_t> placement_order(const Units& made, std::span<const double> totals) {
  std::vector<double> largest_share;
  for (const FoldUnit& unit : made.units) {
    double share = 0;
    for (const auto& [label, samples] : unit.counts) share = std::max(share, samples / totals[label]);
    largest_share.push_back(share);
  }
  std::vector<std::uint32_t> order(made.units.size());
  std::iota(order.begin(), order.end(), 0U);
  std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
    return std::tie(largest_share[b], made.units[a].draw, a) < std::tie(largest_share[a], made.units[b].draw, b);
  });
  return order;
}

/// `capacity` bounds the units of a fold, so that sample counts differ by at most one; no bound for groups.
std::vector<std::int16_t> place_greedily(FoldBalancer& balancer, const Units& made, std::span<const double> totals,
                                         int num_folds, bool bounded) {
  const std::size_t num_units = made.units.size(), num = static_cast<std::size_t>(num_folds);
  std::size_t full_folds = bounded ? num_units % num : num;  // how many folds may take one more than the others
  const std::size_t base = bounded ? num_units / num : num_units;
  std::vector<std::size_t> placed(num);
  std::vector<std::int16_t> folds(num_units);
  for (const std::uint32_t unit : placement_order(made, totals)) {
    int best = -1;
    double best_gain = std::numeric_limits<double>::infinity();
    for (int fold = 0; fold < num_folds; ++fold) {
      const std::size_t count = placed[static_cast<std::size_t>(fold)];
      if (count > base || (count == base && full_folds == 0)) continue;
      const double gain = balancer.gain_of_adding(made.units[unit], fold);
      if (gain < best_gain) {
        best = fold;
        best_gain = gain;
      }
    }
    if (placed[static_cast<std::size_t>(best)]++ == base) --full_folds;
    balancer.add(made.units[unit], best);
    folds[unit] = static_cast<std::int16_t>(best);
  }
  return folds;
}

/// Groups of very unequal size can leave a fold empty: it gets the smallest group of the fold with the most groups.
void fill_empty_folds(const Units& made, int num_folds, std::vector<std::int16_t>& folds) {
  std::vector<int> counts(static_cast<std::size_t>(num_folds));
  for (const auto fold : folds) ++counts[static_cast<std::size_t>(fold)];
  for (int fold = 0; fold < num_folds; ++fold) {
    if (counts[static_cast<std::size_t>(fold)] > 0) continue;
    const auto giver = std::ranges::max_element(counts) - counts.begin();
    std::size_t smallest = folds.size();
    for (std::size_t unit = 0; unit < folds.size(); ++unit) {
      const bool smaller = smallest == folds.size() ||
                           made.units[unit].counts.back().samples < made.units[smallest].counts.back().samples;
      if (folds[unit] == giver && smaller) smallest = unit;
    }
    folds[smallest] = static_cast<std::int16_t>(fold);
    --counts[static_cast<std::size_t>(giver)];
    ++counts[static_cast<std::size_t>(fold)];
  }
}

}  // namespace

std::vector<std::int32_t> cut_into_bins(std::span<const float> values, int num_bins) {
  if (num_bins < 2) throw std::invalid_argument("at least 2 bins are needed, not " + std::to_string(num_bins));
  std::map<float, std::size_t> distinct;
  for (const float value : values) ++distinct[value];
  const bool each_its_own = distinct.size() <= static_cast<std::size_t>(num_bins);
  std::map<float, std::int32_t> bin_of;
  std::size_t before = 0;
  std::int32_t next = 0, last_raw = -1;
  for (const auto& [value, count] : distinct) {
    // The bin in which the middle of the equal values lies.
    const auto raw = each_its_own ? last_raw + 1
                                  : static_cast<std::int32_t>((2 * before + count) *
                                                              static_cast<std::size_t>(num_bins) / (2 * values.size()));
    if (raw != last_raw && last_raw >= 0) ++next;
    bin_of[value] = next;
    last_raw = raw;
    before += count;
  }
  std::vector<std::int32_t> bins;
  for (const float value : values) bins.push_back(bin_of.at(value));
  return bins;
}

FoldAssignment make_stratified_folds(const SampleLabels& labels, std::span<const std::int32_t> groups, int num_folds,
                                     std::uint32_t seed) {
  const Units made = make_units(labels, groups, seed);
  check(labels, groups, num_folds, made.units.size());
  const bool one_label = std::ranges::all_of(labels.of_sample, [](const auto& sample) { return sample.size() == 1; });
  if (groups.empty() && one_label) return deal_by_label(labels, num_folds, seed);

  const auto totals = totals_of(labels);
  FoldBalancer balancer(totals, num_folds);
  auto folds = place_greedily(balancer, made, totals, num_folds, groups.empty());
  improve_folds(balancer, made.units, num_folds, !groups.empty(), seed, folds);
  fill_empty_folds(made, num_folds, folds);

  FoldAssignment of_sample;
  for (const auto unit : made.of_sample) of_sample.push_back(folds[unit]);
  return of_sample;
}

LabelDeviation deviation_of(const SampleLabels& labels, const FoldAssignment& folds, int num_folds) {
  const auto totals = totals_of(labels);
  const std::size_t num_labels = labels.num_labels();
  std::vector<double> counts(static_cast<std::size_t>(num_folds) * num_labels);
  std::vector<double> sizes(static_cast<std::size_t>(num_folds));
  for (std::size_t sample = 0; sample < folds.size(); ++sample) {
    const auto fold = static_cast<std::size_t>(folds[sample]);
    sizes[fold] += 1;
    for (const auto label : labels.of_sample[sample]) counts[fold * num_labels + static_cast<std::size_t>(label)] += 1;
  }
  LabelDeviation worst;
  for (std::size_t fold = 0; fold < sizes.size(); ++fold) {
    for (std::size_t label = 0; label < num_labels; ++label) {
      const double deviation =
          std::abs(counts[fold * num_labels + label] / sizes[fold] - totals[label] / totals.back());
      if (deviation > worst.largest) worst = {deviation, static_cast<int>(fold), label};
    }
  }
  return worst;
}

}  // namespace meshfold::data
