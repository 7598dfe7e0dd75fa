#pragma once

#include <array>
#include <cstddef>

namespace meshfold::data {

/// The character sets and mappings of BERT's normalizer and pre-tokenizer exactly as Hugging Face `tokenizers` has
/// them. Its categories are frozen at Unicode 8, its decompositions at Unicode 9 and its lower case follows Rust's
/// Unicode 17, so the ids of a text must not depend on the Unicode version of the utf8proc that we happen to be built
/// with: categories are tables of ours, and utf8proc gives only what never changes once a character is assigned.
namespace bert {

/// NUL, U+FFFD, control, format and private-use characters; unassigned ones stay.
bool is_removed(char32_t c);
/// White_Space; tab, LF and CR among them.
bool is_space(char32_t c);
/// ASCII symbols and category P.
bool is_punctuation(char32_t c);
/// Category Mn: what accent stripping drops after decomposition.
bool is_mark(char32_t c);
/// The ideograph blocks that get blanks around them. Starts CJK extension E at U+2B920 (not U+2B820), as `tokenizers`
/// does.
bool is_ideograph(char32_t c);
/// Canonical combining class; 0 for starters and for characters newer than Unicode 9.
int combining_class(char32_t c);

/// One to four code points.
struct Mapping {
  std::array<char32_t, 4> code_points{};
  std::size_t size = 0;
};
/// The full canonical decomposition (NFD) of one character, not reordered.
Mapping decompose(char32_t c);
/// Lower case of one character without context: U+0130 becomes two, a final sigma is not special.
Mapping to_lower(char32_t c);

}  // namespace bert
}  // namespace meshfold::data
