#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "data/bert_normalizer.hpp"
#include "data/special_tokens.hpp"
#include "data/tokenizer.hpp"
#include "data/word_piece_vocabulary.hpp"

namespace meshfold::data {

/// The special tokens of a BERT vocabulary, as written in vocab.txt.
struct BertSpecialTokens {
  std::string unknown = "[UNK]";
  std::string cls = "[CLS]";
  std::string sep = "[SEP]";
  std::string pad = "[PAD]";
  std::string mask = "[MASK]";
};

/// BERT's tokenizer with exactly the ids of Hugging Face `tokenizers`: special tokens written in the text are cut out
/// first (byte for byte, before normalization, wherever they stand), the rest is normalized, split at white space and
/// punctuation, and each word cut into the longest pieces. ASCII goes straight through; only other characters need the
/// Unicode tables.
class WordPieceTokenizer final : public Tokenizer {
 public:
  /// Throws std::invalid_argument naming a special token that the vocabulary lacks; [MASK] may be missing.
  WordPieceTokenizer(WordPieceVocabulary vocabulary, const BertNormalizerOptions& options,
                     const BertSpecialTokens& special_tokens = {});

  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override;
  std::size_t vocabulary_size() const override { return vocabulary_.size(); }
  std::string name() const override;
  std::string hash() const override;
  Framing framing() const override { return {cls_id_, sep_id_, sep_id_}; }
  std::int32_t pad_id() const override { return pad_id_; }

 private:
  enum class ByteClass : unsigned char { kWord, kSpace, kPunctuation, kOther };
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const;
  void split_normalized(const std::u32string& characters, std::string& word, std::vector<std::int32_t>& ids) const;
  void end_word(std::string& word, std::vector<std::int32_t>& ids) const;

  WordPieceVocabulary vocabulary_;
  BertNormalizerOptions options_;
  SpecialTokens special_tokens_;
  std::int32_t unknown_id_ = 0, cls_id_ = 0, sep_id_ = 0, pad_id_ = 0;
  std::array<ByteClass, 256> byte_classes_{};
  std::array<char, 128> ascii_{};  ///< the character, in lower case if asked for
};

}  // namespace meshfold::data
