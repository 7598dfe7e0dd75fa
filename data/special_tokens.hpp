#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// Tokens that are matched byte for byte wherever they are written in a text, before any normalization, as Hugging Face
/// does with added special tokens.
class SpecialTokens {
 public:
  struct Token {
    std::string text;
    std::int32_t id;
  };

  /// `text` must not be empty. Where several tokens fit at one place the longest counts.
  void add(const std::string& text, std::int32_t id);
  const std::vector<Token>& tokens() const { return tokens_; }  ///< longest first

  /// Calls `plain(part)` for each stretch without special tokens (also empty ones) and `special(id)` for each token,
  /// in the order of the text.
  template <typename Plain, typename Special>
  void split(std::string_view text, Plain plain, Special special) const {
    std::size_t plain_start = 0;
    for (std::size_t at = text.find_first_of(first_bytes_); at != std::string_view::npos;
         at = text.find_first_of(first_bytes_, at)) {
      const Token* token = token_at(text.substr(at));
      if (token == nullptr) {
        ++at;
        continue;
      }
      plain(text.substr(plain_start, at - plain_start));
      special(token->id);
      at += token->text.size();
      plain_start = at;
    }
    plain(text.substr(plain_start));
  }

 private:
  const Token* token_at(std::string_view text) const;

  std::vector<Token> tokens_;
  std::string first_bytes_;
};

}  // namespace meshfold::data
