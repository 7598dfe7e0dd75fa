#pragma once

#include <string>
#include <string_view>

namespace meshfold::data {

/// What BERT does to a text before it is split into words; clean_text is always on.
struct BertNormalizerOptions {
  bool lowercase = true;
  bool strip_accents = true;
  bool split_ideographs = true;  ///< Hugging Face: tokenize_chinese_chars
};

/// Appends the normalized code points of `text` to `out`: control characters dropped, white space made U+0020, blanks
/// around ideographs, decomposed and without nonspacing marks, lower case; in this order.
void bert_normalize(std::string_view text, const BertNormalizerOptions& options, std::u32string& out);

}  // namespace meshfold::data
