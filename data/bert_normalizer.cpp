#include "data/bert_normalizer.hpp"

#include <algorithm>

#include "data/bert_characters.hpp"
#include "data/utf8.hpp"

namespace meshfold::data {
namespace {

void append(const bert::Mapping& mapping, std::u32string& out) { out.append(mapping.code_points.data(), mapping.size); }

std::u32string cleaned(std::string_view text, bool split_ideographs) {
  std::u32string out;
  while (!text.empty()) {
    const char32_t c = take_code_point(text);
    if (bert::is_removed(c)) continue;
    if (bert::is_space(c)) {
      out += U' ';
    } else if (split_ideographs && bert::is_ideograph(c)) {
      out += {U' ', c, U' '};
    } else {
      out += c;
    }
  }
  return out;
}

// NFD, then without marks. Marks that will be dropped are dropped before the rest is put into canonical order: a stable
// sort does not notice them, unless one of class 0 ends the run.
std::u32string without_accents(const std::u32string& text) {
  std::u32string decomposed, out;
  for (const char32_t c : text) append(bert::decompose(c), decomposed);
  std::size_t run = 0;  // start of the nonstarters at the end of `out`
  const auto by_class = [](char32_t a, char32_t b) { return bert::combining_class(a) < bert::combining_class(b); };
  const auto end_run = [&] {
    if (out.size() - run > 1) std::stable_sort(out.begin() + static_cast<std::ptrdiff_t>(run), out.end(), by_class);
  };
  for (const char32_t c : decomposed) {
    const bool starter = bert::combining_class(c) == 0;
    if (starter) end_run();
    if (!bert::is_mark(c)) out += c;
    if (starter) run = out.size();
  }
  end_run();
  return out;
}

}  // namespace

void bert_normalize(std::string_view text, const BertNormalizerOptions& options, std::u32string& out) {
  std::u32string normalized = cleaned(text, options.split_ideographs);
  if (options.strip_accents) normalized = without_accents(normalized);
  if (!options.lowercase) {
    out += normalized;
    return;
  }
  for (const char32_t c : normalized) append(bert::to_lower(c), out);
}

}  // namespace meshfold::data
