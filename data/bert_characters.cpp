#include "data/bert_characters.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <iterator>
#include <span>

#include "data/bert_character_tables.hpp"

namespace meshfold::data::bert {
namespace {

bool contains(std::span<const CodePointRange> ranges, char32_t c) {
  const auto after = std::upper_bound(ranges.begin(), ranges.end(), c,
                                      [](char32_t value, const CodePointRange& range) { return value < range.first; });
  return after != ranges.begin() && c <= std::prev(after)->last;
}

// Canonical decompositions that Unicode 13 and 16 added; a newer utf8proc knows them, `tokenizers` does not.
constexpr CodePointRange kUndecomposed[] = {{0x105C9, 0x105C9}, {0x105E4, 0x105E4}, {0x11383, 0x11383},
                                            {0x11385, 0x11385}, {0x1138E, 0x1138E}, {0x11391, 0x11391},
                                            {0x113C5, 0x113C5}, {0x113C7, 0x113C8}, {0x11938, 0x11938},
                                            {0x16121, 0x16128}, {0x16D68, 0x16D6A}};

// Capital letters that Unicode 16 and 17 added; an older utf8proc leaves them alone.
struct LowerRange {
  char32_t first;
  char32_t last;
  char32_t lower_of_first;
};
constexpr LowerRange kNewCapitals[] = {
    {0x1C89, 0x1C89, 0x1C8A},    {0xA7CB, 0xA7CB, 0x264},    {0xA7CC, 0xA7CC, 0xA7CD}, {0xA7CE, 0xA7CE, 0xA7CF},
    {0xA7D2, 0xA7D2, 0xA7D3},    {0xA7D4, 0xA7D4, 0xA7D5},   {0xA7DA, 0xA7DA, 0xA7DB}, {0xA7DC, 0xA7DC, 0x19B},
    {0x10D50, 0x10D65, 0x10D70}, {0x16EA0, 0x16EB8, 0x16EBB}};

}  // namespace

bool is_removed(char32_t c) { return contains(kRemoved, c); }
bool is_punctuation(char32_t c) { return contains(kPunctuation, c); }
bool is_mark(char32_t c) { return c >= 0x300 && contains(kMarks, c); }

bool is_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_ideograph(char32_t c) {
  return (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

int combining_class(char32_t c) {
  if (c < 0x300 || !(contains(kMarks, c) || contains(kKeptNonstarters, c))) return 0;
  return utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->combining_class;
}

Mapping decompose(char32_t c) {
  if (c < 0xC0 || contains(kUndecomposed, c)) return {{c}, 1};
  std::array<utf8proc_int32_t, 4> parts{};
  int last_class = 0;
  const auto count = utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts.data(), parts.size(),
                                             UTF8PROC_DECOMPOSE, &last_class);
  Mapping result;
  if (count < 1 || count > static_cast<utf8proc_ssize_t>(parts.size())) return {{c}, 1};
  result.size = static_cast<std::size_t>(count);
  std::copy_n(parts.begin(), result.size, result.code_points.begin());
  return result;
}

Mapping to_lower(char32_t c) {
  if (c == 0x130) return {{U'i', 0x307}, 2};
  for (const LowerRange& range : kNewCapitals) {
    if (c >= range.first && c <= range.last) return {{range.lower_of_first + (c - range.first)}, 1};
  }
  return {{static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)))}, 1};
}

}  // namespace meshfold::data::bert
