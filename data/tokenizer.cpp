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

// How many tokens of each segment stay when `room` is left for both.
std::pair<std::size_t, std::size_t> kept_lengths(std::size_t first, std::size_t second, std::size_t room,
                                                 Truncation::Kind kind) {
  if (kind != Truncation::Kind::kOnlySecond) return longest_first(first, second, room);
  if (first > room) {
    throw std::length_error("the first segment has " + std::to_string(first) + " tokens, more than the " +
                            std::to_string(room) + " that there is room for; raise tokenizer.max_length or set " +
                            "tokenizer.truncation = longest_first");
  }
  return {first, std::min(second, room - first)};
}

void append_kept(const std::vector<std::int32_t>& tokens, std::size_t kept, const Truncation& truncation,
                 std::vector<std::int32_t>& ids) {
  const bool has_tail = truncation.kind == Truncation::Kind::kHeadTail && kept < tokens.size();
  const auto head = has_tail ? std::min(kept, truncation.head_tokens) : kept;
  ids.insert(ids.end(), tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(head));
  ids.insert(ids.end(), tokens.end() - static_cast<std::ptrdiff_t>(kept - head), tokens.end());
}

}  // namespace

std::string Truncation::to_string() const {
  std::string text = std::to_string(max_length);
  if (kind == Kind::kLongestFirst) return text;
  text.append(" ").append(
      std::ranges::find(kTruncationNames, kind, &decltype(kTruncationNames)::value_type::second)->first);
  return kind == Kind::kHeadTail ? text + " " + std::to_string(head_tokens) : text;
}

EncodedInput encode_input(const Tokenizer& tokenizer, std::string_view text, const std::string* pair,
                          const Truncation& truncation) {
  const auto framing = tokenizer.framing();
  const std::size_t num_special = std::size_t{framing.first.has_value()} + std::size_t{framing.last.has_value()} +
                                  std::size_t{pair != nullptr && framing.between.has_value()};
  if (truncation.max_length < num_special) {
    throw std::invalid_argument("max_length " + std::to_string(truncation.max_length) + " leaves no room for the " +
                                std::to_string(num_special) + " special tokens");
  }
  const std::size_t room = truncation.max_length - num_special;
  std::vector<std::int32_t> first, second;
  tokenizer.encode(text, first);
  if (pair != nullptr) tokenizer.encode(*pair, second);
  const auto [keep_first, keep_second] = pair != nullptr
                                             ? kept_lengths(first.size(), second.size(), room, truncation.kind)
                                             : std::pair(std::min(first.size(), room), std::size_t{0});

  EncodedInput input;
  if (framing.first) input.ids.push_back(*framing.first);
  append_kept(first, keep_first, truncation, input.ids);
  if (pair != nullptr) {
    if (framing.between) input.ids.push_back(*framing.between);
    input.pair_start = static_cast<std::uint32_t>(input.ids.size());
    append_kept(second, keep_second, truncation, input.ids);
  }
  if (framing.last) input.ids.push_back(*framing.last);
  return input;
}

}  // namespace meshfold::data
