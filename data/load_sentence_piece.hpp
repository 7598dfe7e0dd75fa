#pragma once

#include <filesystem>
#include <memory>
#include <optional>

#include "data/sentence_piece.hpp"

namespace meshfold::data {

/// The SentencePiece model of a directory: spm.model (DeBERTa) or tokenizer.model (Gemma, Llama, Mistral); nothing if
/// it has neither.
std::optional<std::filesystem::path> find_sentence_piece_model(const std::filesystem::path& model_directory);

/// Reads it as the family that tokenizer_config.json's tokenizer_class names, else as its own pieces suggest. Throws
/// InputError for other families and for settings that would change the ids.
std::unique_ptr<Tokenizer> load_sentence_piece(const std::filesystem::path& model, const std::filesystem::path& config);

}  // namespace meshfold::data
