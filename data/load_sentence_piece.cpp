#include "data/load_sentence_piece.hpp"

#include <array>
#include <string_view>

#include "data/error.hpp"
#include "data/tokenizer_config.hpp"

namespace meshfold::data {
namespace {

using Path = std::filesystem::path;
using Family = SentencePieceTokenizer::Family;

struct FamilyOfClass {
  std::string_view tokenizer_class;
  Family family;
};

// Others with a SentencePiece model (XLM-RoBERTa, T5, ALBERT) move ids about or frame texts in another way.
constexpr std::array<FamilyOfClass, 8> kFamilies = {{{"DebertaV2Tokenizer", Family::kDeberta},
                                                     {"DebertaV2TokenizerFast", Family::kDeberta},
                                                     {"GemmaTokenizer", Family::kDecoder},
                                                     {"GemmaTokenizerFast", Family::kDecoder},
                                                     {"LlamaTokenizer", Family::kDecoder},
                                                     {"LlamaTokenizerFast", Family::kDecoder},
                                                     {"MistralTokenizer", Family::kDecoder},
                                                     {"MistralTokenizerFast", Family::kDecoder}}};

Family family_of_class(const TokenizerConfig& config, const std::string& name) {
  for (const auto& [tokenizer_class, family] : kFamilies) {
    if (tokenizer_class == name) return family;
  }
  config.refuse("tokenizer_class '" + name +
                "' is not supported with a SentencePiece model; DebertaV2Tokenizer, GemmaTokenizer, LlamaTokenizer and "
                "MistralTokenizer are");
}

void expect(const TokenizerConfig& config, const char* key, bool supported) {
  if (config.flag(key).value_or(supported) == supported) return;
  config.refuse(std::string(key) + (supported ? " = false" : " = true") +
                " is not supported with a SentencePiece model");
}

void check_settings(const TokenizerConfig& config, Family family) {
  if (family == Family::kDeberta) {
    expect(config, "do_lower_case", false);
    expect(config, "split_by_punct", false);
  } else {
    expect(config, "add_bos_token", true);
    expect(config, "add_eos_token", false);
  }
}

}  // namespace

std::optional<Path> find_sentence_piece_model(const Path& model_directory) {
  for (const char* name : {"spm.model", "tokenizer.model"}) {
    if (std::filesystem::exists(model_directory / name)) return model_directory / name;
  }
  return std::nullopt;
}

std::unique_ptr<Tokenizer> load_sentence_piece(const Path& model, const Path& config_file) {
  if (!std::filesystem::exists(config_file)) {
    return std::make_unique<SentencePieceTokenizer>(model, family_of_pieces(model));
  }
  const TokenizerConfig config(config_file);
  const auto name = config.tokenizer_class();
  const Family family = name ? family_of_class(config, *name) : family_of_pieces(model);
  check_settings(config, family);
  return std::make_unique<SentencePieceTokenizer>(model, family);
}

}  // namespace meshfold::data
