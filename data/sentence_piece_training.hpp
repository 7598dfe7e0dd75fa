#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/sentence_piece.hpp"

namespace meshfold::data {

struct SentencePieceTraining {
  enum class Model { kUnigram, kBpe };
  Model model = Model::kUnigram;
  SentencePieceTokenizer::Family family = SentencePieceTokenizer::Family::kDeberta;
  int vocabulary_size = 32000;         ///< pieces, special tokens among them; [MASK] comes after them
  double character_coverage = 0.9995;  ///< share of the text's characters that become pieces; the rest is unknown
  bool byte_fallback = false;          ///< characters without a piece become bytes instead of the unknown token
};

/// The bytes of a SentencePiece model file trained on the texts. kDeberta: [PAD] 0, [CLS] 1, [SEP] 2, [UNK] 3;
/// kDecoder, as Gemma: <pad> 0, <eos> 1, <bos> 2, <unk> 3. The same texts give the same bytes on any machine: the
/// number of threads is fixed. Throws std::invalid_argument with the library's words, such as the largest vocabulary
/// that the texts allow.
std::string train_sentence_piece(const std::vector<std::string>& texts, const SentencePieceTraining& training);

/// Throws InputError if the directory has a SentencePiece model, which models may have been trained with.
void refuse_to_replace_tokenizer(const std::filesystem::path& directory);

/// Writes the files by which load_tokenizer() and transformers know the family of a trained model: spm.model (kDeberta)
/// or tokenizer.model, and tokenizer_config.json. The directory is made; other files in it stay. Throws StorageError,
/// and InputError as refuse_to_replace_tokenizer().
void write_tokenizer_directory(const std::filesystem::path& directory, const std::string& model,
                               SentencePieceTokenizer::Family family);

}  // namespace meshfold::data
