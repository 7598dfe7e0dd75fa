#include "data/special_tokens.hpp"

#include <algorithm>

namespace meshfold::data {

void SpecialTokens::add(const std::string& text, std::int32_t id) {
  // After those of the same length, so that of equal texts the first one counts.
  const auto shorter =
      std::ranges::find_if(tokens_, [&](const Token& token) { return token.text.size() < text.size(); });
  tokens_.insert(shorter, {text, id});
  if (first_bytes_.find(text[0]) == std::string::npos) first_bytes_ += text[0];
}

const SpecialTokens::Token* SpecialTokens::token_at(std::string_view text) const {
  const auto found = std::ranges::find_if(tokens_, [&](const Token& token) { return text.starts_with(token.text); });
  return found == tokens_.end() ? nullptr : &*found;
}

}  // namespace meshfold::data
