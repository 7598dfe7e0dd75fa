#include "data/tokenizer.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

namespace meshfold::data {
namespace {

// How many tokens of a pair stay when `room` is left for both: the shorter one keeps all it has, up to half of the
// room; if neither fits in its half, the second gets the odd token unless the first is strictly longer.
std::pair<std::size_t, std::size_t> longest_first(std::size_t first, std::size_t second, std::size_t room) {
  if (first + second <= room) return {first, second};
  const bool first_is_longer = first > second;
  const std::size_t shorter = std::min({first, second, room / 2});
  const std::size_t longer = room - shorter;
  return first_is_longer ? std::pair(longer, shorter) : std::pair(shorter, longer);
}

}  // namespace

EncodedInput encode_input(const Tokenizer& tokenizer, std::string_view text, const std::string* pair,
                          std::size_t max_length) {
  const std::size_t num_special = pair ? 3 : 2;
  if (max_length < num_special) {
    throw std::invalid_argument("max_length " + std::to_string(max_length) + " leaves no room for the " +
                                std::to_string(num_special) + " special tokens");
  }
  EncodedInput input;
  input.ids.push_back(tokenizer.cls_id());
  tokenizer.encode(text, input.ids);
  const std::size_t first_length = input.ids.size() - 1;
  if (!pair) {
    input.ids.resize(1 + std::min(first_length, max_length - num_special));
    input.ids.push_back(tokenizer.sep_id());
    return input;
  }
  std::vector<std::int32_t> second;
  tokenizer.encode(*pair, second);
  const auto [keep_first, keep_second] = longest_first(first_length, second.size(), max_length - num_special);
  input.ids.resize(1 + keep_first);
  input.ids.push_back(tokenizer.sep_id());
  input.pair_start = static_cast<std::uint32_t>(input.ids.size());
  input.ids.insert(input.ids.end(), second.begin(), second.begin() + static_cast<std::ptrdiff_t>(keep_second));
  input.ids.push_back(tokenizer.sep_id());
  return input;
}

}  // namespace meshfold::data
