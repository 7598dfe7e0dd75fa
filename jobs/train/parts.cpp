#include "jobs/train/parts.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

int next_multiple(int value, int unit) { return (value + unit - 1) / unit * unit; }

int fixed_parts(const TrainingSection& training, int data_ranks) {
  const bool power_of_two = std::has_single_bit(static_cast<unsigned>(training.parts));
  if (training.deterministic && (!power_of_two || training.parts % data_ranks != 0)) {
    std::string advice = "set training.parts to a power of two that " + std::to_string(data_ranks) + " divides";
    if (!std::has_single_bit(static_cast<unsigned>(data_ranks))) advice = "use a power of two of data ranks";
    throw ConfigError("training.parts = " + std::to_string(training.parts) + " with " + std::to_string(data_ranks) +
                      " data ranks: training.deterministic needs a power of two divisible by the data ranks; " +
                      advice);
  }
  if (training.parts % data_ranks != 0) {
    throw ConfigError("training.parts = " + std::to_string(training.parts) + " is not a multiple of the " +
                      std::to_string(data_ranks) + " data ranks; set it to " +
                      std::to_string(next_multiple(training.parts, data_ranks)) + ", or to 0 (auto)");
  }
  return training.parts;
}

/// Tokens of the longest samples that one step could draw.
std::int64_t largest_step(const data::Dataset& dataset, int batch_size, std::int64_t& longest) {
  std::vector<std::int64_t> lengths(dataset.num_samples());
  for (std::uint32_t sample = 0; sample < dataset.num_samples(); ++sample) {
    lengths[sample] = dataset.sample_length(sample);
  }
  const auto drawn = lengths.begin() + static_cast<std::ptrdiff_t>(
                                           std::min<std::size_t>(lengths.size(), static_cast<std::size_t>(batch_size)));
  std::partial_sort(lengths.begin(), drawn, lengths.end(), std::greater<>());
  std::int64_t tokens = 0;
  for (auto length = lengths.begin(); length != drawn; ++length) tokens += *length;
  longest = lengths.empty() ? 0 : lengths.front();
  return tokens;
}

}  // namespace

int resolve_parts(const TrainingSection& training, const data::Dataset& dataset, int data_ranks, int stages) {
  if (training.parts < 0) throw ConfigError("training.parts must not be negative; 0 means auto");
  if (training.parts > 0) return fixed_parts(training, data_ranks);
  if (training.deterministic) {
    throw ConfigError("training.deterministic needs a fixed training.parts, a power of two divisible by the " +
                      std::to_string(data_ranks) + " data ranks; set training.parts = " +
                      std::to_string(std::bit_ceil(static_cast<unsigned>(std::max(data_ranks, 4)))));
  }
  std::int64_t longest = 0;
  const std::int64_t tokens = largest_step(dataset, training.batch_size, longest);
  // A cut falls between samples, so a pack may exceed an even share by half a sample at either end. One sample
  // per pack is the finest cut.
  const int unit = data_ranks * stages;
  int parts = unit;
  while ((tokens + parts - 1) / parts + longest > training.max_tokens_per_pack && parts < training.batch_size) {
    parts += unit;
  }
  return parts;
}

}  // namespace meshfold::jobs
