#include "data/word_piece.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "base/checksum.hpp"
#include "data/bert_characters.hpp"
#include "data/utf8.hpp"

namespace meshfold::data {

WordPieceTokenizer::WordPieceTokenizer(WordPieceVocabulary vocabulary, const BertNormalizerOptions& options,
                                       const BertSpecialTokens& special_tokens)
    : vocabulary_(std::move(vocabulary)), options_(options) {
  const auto add = [&](const std::string& text) {
    const auto id = vocabulary_.find(text);
    if (text.empty() || !id) throw std::invalid_argument("the vocabulary has no special token '" + text + "'");
    special_tokens_.add(text, *id);
    return *id;
  };
  unknown_id_ = add(special_tokens.unknown);
  cls_id_ = add(special_tokens.cls);
  sep_id_ = add(special_tokens.sep);
  pad_id_ = add(special_tokens.pad);
  if (vocabulary_.find(special_tokens.mask)) add(special_tokens.mask);

  byte_classes_.fill(ByteClass::kOther);
  for (char32_t c = 0; c < 128; ++c) {
    ascii_[c] = static_cast<char>(options_.lowercase && c >= U'A' && c <= U'Z' ? c + 32 : c);
    if (bert::is_removed(c)) continue;
    byte_classes_[c] = bert::is_space(c)         ? ByteClass::kSpace
                       : bert::is_punctuation(c) ? ByteClass::kPunctuation
                                                 : ByteClass::kWord;
  }
}

std::string WordPieceTokenizer::name() const {
  std::string name = options_.lowercase ? "wordpiece(uncased" : "wordpiece(cased";
  if (options_.strip_accents != options_.lowercase) name += options_.strip_accents ? ", no accents" : ", accents";
  if (!options_.split_ideographs) name += ", ideographs joined";
  return name + ")";
}

std::string WordPieceTokenizer::hash() const {
  // Everything is length-prefixed or ended by a byte that no piece contains, so that two vocabularies cannot run into
  // one.
  std::string all = "wordpiece 1\n";
  for (const bool option : {options_.lowercase, options_.strip_accents, options_.split_ideographs})
    all += option ? '1' : '0';
  for (const std::int32_t id : {unknown_id_, cls_id_, sep_id_, pad_id_}) all += ' ' + std::to_string(id);
  for (const auto& token : special_tokens_.tokens()) all += '\n' + token.text;
  all += "\n\n";
  for (const std::string& piece : vocabulary_.pieces()) (all += piece) += '\n';
  return base::xxh3_128_hex(all);
}

void WordPieceTokenizer::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  special_tokens_.split(
      text, [&](std::string_view plain) { encode_plain(plain, ids); }, [&](std::int32_t id) { ids.push_back(id); });
}

void WordPieceTokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
  const auto class_of = [&](std::size_t i) { return byte_classes_[static_cast<unsigned char>(text[i])]; };
  std::string word;
  std::u32string normalized;
  for (std::size_t at = 0; at < text.size();) {
    switch (class_of(at)) {
      case ByteClass::kWord:
        do {
          word += ascii_[static_cast<unsigned char>(text[at])];
          ++at;
        } while (at < text.size() && class_of(at) == ByteClass::kWord);
        break;
      case ByteClass::kSpace:
        end_word(word, ids);
        ++at;
        break;
      case ByteClass::kPunctuation:
        end_word(word, ids);
        vocabulary_.split_word(text.substr(at, 1), unknown_id_, ids);
        ++at;
        break;
      case ByteClass::kOther: {
        // Plain ASCII starts and ends every canonical ordering, so what lies between can be normalized alone.
        const std::size_t start = at;
        do ++at;
        while (at < text.size() && class_of(at) == ByteClass::kOther);
        normalized.clear();
        bert_normalize(text.substr(start, at - start), options_, normalized);
        split_normalized(normalized, word, ids);
        break;
      }
    }
  }
  end_word(word, ids);
}

void WordPieceTokenizer::split_normalized(const std::u32string& characters, std::string& word,
                                          std::vector<std::int32_t>& ids) const {
  for (const char32_t c : characters) {
    if (bert::is_space(c)) {
      end_word(word, ids);
    } else if (bert::is_punctuation(c)) {
      end_word(word, ids);
      append_utf8(c, word);
      end_word(word, ids);
    } else {
      append_utf8(c, word);
    }
  }
}

void WordPieceTokenizer::end_word(std::string& word, std::vector<std::int32_t>& ids) const {
  if (word.empty()) return;
  vocabulary_.split_word(word, unknown_id_, ids);
  word.clear();
}

}  // namespace meshfold::data
