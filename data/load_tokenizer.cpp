#include <algorithm>
#include <array>
#include <optional>

#include "data/error.hpp"
#include "data/load_sentence_piece.hpp"
#include "data/tokenizer_config.hpp"
#include "data/word_piece.hpp"

namespace meshfold::data {
namespace {

using Json = nlohmann::json;
using Path = std::filesystem::path;

// Classes whose texts are cut and framed as BERT's. Others with a vocab.txt (Japanese BERT, MPNet) are not.
constexpr std::array<std::string_view, 8> kBertClasses = {
    "BertTokenizer",    "BertTokenizerFast",    "DistilBertTokenizer", "DistilBertTokenizerFast",
    "ElectraTokenizer", "ElectraTokenizerFast", "MobileBertTokenizer", "MobileBertTokenizerFast"};

/// Tokens beyond the five special ones, or matched in another way than byte for byte, would change the ids.
void check_added_token(const Json& token, const BertSpecialTokens& known, const TokenizerConfig& file) {
  const std::string content = token.value("content", std::string());
  const bool is_known = content == known.unknown || content == known.cls || content == known.sep ||
                        content == known.pad || content == known.mask;
  if (!is_known) file.refuse("added token '" + content + "' is not supported; only BERT's special tokens are");
  for (const char* key : {"lstrip", "rstrip", "single_word", "normalized"}) {
    if (file.flag(token, key).value_or(false)) {
      file.refuse("added token '" + content + "' has " + key + " = true, which is not supported");
    }
  }
}

/// What a directory's files say about BERT's tokenizer.
struct Settings {
  std::optional<bool> lowercase, strip_accents, split_ideographs;
  BertSpecialTokens special_tokens;
};

void read_config(const TokenizerConfig& config, Settings& settings) {
  const auto tokenizer_class = config.tokenizer_class();
  if (tokenizer_class && std::ranges::find(kBertClasses, *tokenizer_class) == kBertClasses.end()) {
    config.refuse("tokenizer_class '" + *tokenizer_class +
                  "' is not supported here; BERT's WordPiece tokenizer (BertTokenizer) can be read, and DeBERTa's and "
                  "Gemma's if spm.model or tokenizer.model is in the directory");
  }
  if (const auto value = config.flag("do_lower_case")) settings.lowercase = value;
  if (const auto value = config.flag("strip_accents")) settings.strip_accents = value;
  if (const auto value = config.flag("tokenize_chinese_chars")) settings.split_ideographs = value;
  BertSpecialTokens& special = settings.special_tokens;
  config.read_special("unk_token", special.unknown);
  config.read_special("cls_token", special.cls);
  config.read_special("sep_token", special.sep);
  config.read_special("pad_token", special.pad);
  config.read_special("mask_token", special.mask);
  const auto added = config.json().find("added_tokens_decoder");
  if (added == config.json().end() || !added->is_object()) return;
  for (const Json& token : *added) check_added_token(token, special, config);
}

std::vector<std::string> pieces_by_id(const Json& vocabulary, const TokenizerConfig& file) {
  std::vector<std::string> pieces(vocabulary.size());
  std::vector<bool> seen(vocabulary.size());
  for (const auto& [piece, id] : vocabulary.items()) {
    const std::size_t index = id.is_number_unsigned() ? id.get<std::size_t>() : pieces.size();
    if (index >= pieces.size() || seen[index]) {
      file.refuse("the id of piece '" + piece + "' is not one of 0 to " + std::to_string(pieces.size() - 1) +
                  " or is given twice");
    }
    pieces[index] = piece;
    seen[index] = true;
  }
  return pieces;
}

Json member(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}

/// A tokenizer.json as newer versions of transformers write it, without a vocab.txt beside it.
WordPieceVocabulary read_tokenizer_json(const TokenizerConfig& file, Settings& settings) {
  const Json model = member(file.json(), "model"), normalizer = member(file.json(), "normalizer");
  const Json type = member(model, "type");
  if (type == "Unigram" || type == "BPE") {
    file.refuse("holds a " + type.get<std::string>() +
                " model, which is not read from here; copy the SentencePiece model of the same tokenizer (spm.model "
                "for DeBERTa, tokenizer.model for Gemma, Llama and Mistral) into the directory");
  }
  const Json vocabulary = member(model, "vocab");
  const bool is_bert = type == "WordPiece" && vocabulary.is_object() &&
                       model.value("continuing_subword_prefix", "##") == "##" &&
                       model.value("max_input_chars_per_word", 100) == 100 && normalizer.is_object() &&
                       normalizer.value("type", "") == "BertNormalizer" && normalizer.value("clean_text", true) &&
                       member(member(file.json(), "pre_tokenizer"), "type") == "BertPreTokenizer";
  if (!is_bert || vocabulary.empty()) file.refuse("not a BERT WordPiece tokenizer; no other kind is read from here");
  const auto fill = [&](std::optional<bool>& setting, const char* key) {
    if (!setting) setting = file.flag(normalizer, key);
  };
  fill(settings.lowercase, "lowercase");
  fill(settings.strip_accents, "strip_accents");
  fill(settings.split_ideographs, "handle_chinese_chars");
  for (const Json& token : member(file.json(), "added_tokens")) check_added_token(token, settings.special_tokens, file);
  return WordPieceVocabulary(pieces_by_id(vocabulary, file));
}

/// Either of the two files is there.
std::unique_ptr<Tokenizer> load_word_piece(const Path& pieces_file, const Path& json_file, const Path& config_file) {
  const bool has_pieces = std::filesystem::exists(pieces_file);
  Settings settings;
  if (std::filesystem::exists(config_file)) read_config(TokenizerConfig(config_file), settings);
  WordPieceVocabulary vocabulary =
      has_pieces ? WordPieceVocabulary::read(pieces_file) : read_tokenizer_json(TokenizerConfig(json_file), settings);
  BertNormalizerOptions options;
  options.lowercase = settings.lowercase.value_or(true);
  options.strip_accents = settings.strip_accents.value_or(options.lowercase);
  options.split_ideographs = settings.split_ideographs.value_or(true);
  try {
    return std::make_unique<WordPieceTokenizer>(std::move(vocabulary), options, settings.special_tokens);
  } catch (const std::invalid_argument& error) {
    throw InputError({(has_pieces ? pieces_file : json_file).string(), {}, {}, ""},
                     std::string(error.what()) + "; name it in tokenizer_config.json or add it to the vocabulary");
  }
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Path& model_directory) {
  const Path pieces_file = model_directory / "vocab.txt";
  const Path json_file = model_directory / "tokenizer.json";
  const Path config_file = model_directory / "tokenizer_config.json";
  const auto sentence_piece = find_sentence_piece_model(model_directory);
  if (sentence_piece && !std::filesystem::exists(pieces_file)) return load_sentence_piece(*sentence_piece, config_file);
  if (!std::filesystem::exists(pieces_file) && !std::filesystem::exists(json_file)) {
    throw InputError({model_directory.string(), {}, {}, ""},
                     "no tokenizer: a model directory needs vocab.txt or tokenizer.json with BERT's WordPiece "
                     "vocabulary, or a SentencePiece model (spm.model, tokenizer.model)");
  }
  return load_word_piece(pieces_file, json_file, config_file);
}

}  // namespace meshfold::data
