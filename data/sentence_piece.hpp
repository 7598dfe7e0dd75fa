#pragma once

#include <filesystem>
#include <memory>

#include "data/special_tokens.hpp"
#include "data/tokenizer.hpp"

namespace meshfold::data {

/// A SentencePiece model file (unigram, or BPE with byte fallback; Kudo and Richardson, 2018) with the special tokens
/// of a model family around it. The ids are those of the sentencepiece library, which does the work.
class SentencePieceTokenizer final : public Tokenizer {
 public:
  enum class Family {
    /// DeBERTa-v2 and v3: [CLS] a [SEP] b [SEP]; [PAD], [CLS], [SEP] and [UNK] are pieces of the model, [MASK] has the
    /// id
    /// after the last piece unless it is a piece. Special tokens written in a text are matched, as transformers does;
    /// each stretch between them is encoded alone.
    kDeberta,
    /// Gemma, Llama, Mistral: the begin-of-sequence piece and then the text; a pair follows without a separator.
    /// Special
    /// tokens written in a text are text, except user-defined pieces, as sentencepiece has it.
    kDecoder,
  };

  /// Throws InputError for a file that is no SentencePiece model, or that lacks a special token of the family.
  SentencePieceTokenizer(const std::filesystem::path& file, Family family);
  ~SentencePieceTokenizer() override;

  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override;
  std::size_t vocabulary_size() const override;
  std::string name() const override;
  std::string hash() const override { return hash_; }
  Framing framing() const override { return framing_; }
  std::int32_t pad_id() const override { return pad_id_; }

  /// Id of a piece of the model; nothing if there is no such piece.
  std::optional<std::int32_t> piece_id(const std::string& piece) const;

 private:
  struct Processor;  ///< keeps the library's header out of this one
  void encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const;

  std::unique_ptr<Processor> processor_;
  Family family_;
  SpecialTokens special_tokens_;
  Framing framing_;
  std::int32_t pad_id_ = 0;
  std::size_t vocabulary_size_ = 0;
  std::string hash_;
};

/// The family whose special tokens the model file has, by its pieces: [CLS] and [SEP], or <s> or <bos>. Throws
/// InputError if there are neither.
SentencePieceTokenizer::Family family_of_pieces(const std::filesystem::path& file);

}  // namespace meshfold::data
