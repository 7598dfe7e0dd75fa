#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>

#include "data/error.hpp"
#include "data/word_piece.hpp"

namespace meshfold::data {
namespace {

using Json = nlohmann::json;
using Path = std::filesystem::path;

// Classes whose texts are cut and framed as BERT's. Others with a vocab.txt (Japanese BERT, MPNet) are not.
constexpr std::array<std::string_view, 8> kBertClasses = {
    "BertTokenizer",    "BertTokenizerFast",    "DistilBertTokenizer", "DistilBertTokenizerFast",
    "ElectraTokenizer", "ElectraTokenizerFast", "MobileBertTokenizer", "MobileBertTokenizerFast"};

[[noreturn]] void refuse(const Path& file, const std::string& problem) {
  throw InputError({file.string(), {}, {}, ""}, problem);
}

Json read_json(const Path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) refuse(file, "cannot be opened");
  Json value = Json::parse(stream, nullptr, false);
  if (!value.is_object()) refuse(file, "not a JSON object; fetch the model directory again");
  return value;
}

/// The boolean `key`; nothing if it is absent or null.
std::optional<bool> flag(const Json& object, const char* key, const Path& file) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  if (!found->is_boolean()) refuse(file, std::string("key '") + key + "' is not true or false");
  return found->get<bool>();
}

/// A special token, written as a string or as an object with its `content`.
void read_special(const Json& config, const char* key, const Path& file, std::string& token) {
  const auto found = config.find(key);
  if (found == config.end() || found->is_null()) return;
  const Json& value = found->is_object() && found->contains("content") ? (*found)["content"] : *found;
  if (!value.is_string()) refuse(file, std::string("key '") + key + "' is not a token");
  token = value.get<std::string>();
}

/// Tokens beyond the five special ones, or matched in another way than byte for byte, would change the ids.
void check_added_token(const Json& token, const BertSpecialTokens& known, const Path& file) {
  const std::string content = token.value("content", std::string());
  const bool is_known = content == known.unknown || content == known.cls || content == known.sep ||
                        content == known.pad || content == known.mask;
  if (!is_known) refuse(file, "added token '" + content + "' is not supported; only BERT's special tokens are");
  for (const char* key : {"lstrip", "rstrip", "single_word", "normalized"}) {
    if (flag(token, key, file).value_or(false)) {
      refuse(file, "added token '" + content + "' has " + key + " = true, which is not supported");
    }
  }
}

/// What a directory's files say about the tokenizer.
struct Settings {
  std::optional<bool> lowercase, strip_accents, split_ideographs;
  BertSpecialTokens special_tokens;
};

void read_config(const Path& file, Settings& settings) {
  const Json config = read_json(file);
  const auto tokenizer_class = config.find("tokenizer_class");
  if (tokenizer_class != config.end() && tokenizer_class->is_string() &&
      std::find(kBertClasses.begin(), kBertClasses.end(), tokenizer_class->get<std::string>()) == kBertClasses.end()) {
    refuse(file, "tokenizer_class '" + tokenizer_class->get<std::string>() +
                     "' is not supported; only BERT's WordPiece tokenizer (BertTokenizer) can be read");
  }
  if (const auto value = flag(config, "do_lower_case", file)) settings.lowercase = value;
  if (const auto value = flag(config, "strip_accents", file)) settings.strip_accents = value;
  if (const auto value = flag(config, "tokenize_chinese_chars", file)) settings.split_ideographs = value;
  BertSpecialTokens& special = settings.special_tokens;
  read_special(config, "unk_token", file, special.unknown);
  read_special(config, "cls_token", file, special.cls);
  read_special(config, "sep_token", file, special.sep);
  read_special(config, "pad_token", file, special.pad);
  read_special(config, "mask_token", file, special.mask);
  if (const auto added = config.find("added_tokens_decoder"); added != config.end() && added->is_object()) {
    for (const Json& token : *added) check_added_token(token, special, file);
  }
}

std::vector<std::string> pieces_by_id(const Json& vocabulary, const Path& file) {
  std::vector<std::string> pieces(vocabulary.size());
  std::vector<bool> seen(vocabulary.size());
  for (const auto& [piece, id] : vocabulary.items()) {
    const std::size_t index = id.is_number_unsigned() ? id.get<std::size_t>() : pieces.size();
    if (index >= pieces.size() || seen[index]) {
      refuse(file, "the id of piece '" + piece + "' is not one of 0 to " + std::to_string(pieces.size() - 1) +
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
WordPieceVocabulary read_tokenizer_json(const Path& file, Settings& settings) {
  const Json json = read_json(file);
  const Json model = member(json, "model"), normalizer = member(json, "normalizer");
  const Json vocabulary = member(model, "vocab");
  const bool is_bert = model.is_object() && model.value("type", "") == "WordPiece" && vocabulary.is_object() &&
                       model.value("continuing_subword_prefix", "##") == "##" &&
                       model.value("max_input_chars_per_word", 100) == 100 && normalizer.is_object() &&
                       normalizer.value("type", "") == "BertNormalizer" && normalizer.value("clean_text", true) &&
                       member(member(json, "pre_tokenizer"), "type") == "BertPreTokenizer";
  if (!is_bert || vocabulary.empty()) refuse(file, "not a BERT WordPiece tokenizer; no other kind can be read yet");
  const auto fill = [&](std::optional<bool>& setting, const char* key) {
    if (!setting) setting = flag(normalizer, key, file);
  };
  fill(settings.lowercase, "lowercase");
  fill(settings.strip_accents, "strip_accents");
  fill(settings.split_ideographs, "handle_chinese_chars");
  for (const Json& token : member(json, "added_tokens")) check_added_token(token, settings.special_tokens, file);
  return WordPieceVocabulary(pieces_by_id(vocabulary, file));
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const Path& model_directory) {
  const Path pieces_file = model_directory / "vocab.txt";
  const Path json_file = model_directory / "tokenizer.json";
  const Path config_file = model_directory / "tokenizer_config.json";
  const bool has_pieces = std::filesystem::exists(pieces_file);
  if (!has_pieces && !std::filesystem::exists(json_file)) {
    refuse(model_directory,
           "no vocab.txt and no tokenizer.json; a model directory needs one of them, with BERT's WordPiece vocabulary");
  }
  Settings settings;
  if (std::filesystem::exists(config_file)) read_config(config_file, settings);
  const Path& file = has_pieces ? pieces_file : json_file;
  WordPieceVocabulary vocabulary = has_pieces ? WordPieceVocabulary::read(file) : read_tokenizer_json(file, settings);
  BertNormalizerOptions options;
  options.lowercase = settings.lowercase.value_or(true);
  options.strip_accents = settings.strip_accents.value_or(options.lowercase);
  options.split_ideographs = settings.split_ideographs.value_or(true);
  try {
    return std::make_unique<WordPieceTokenizer>(std::move(vocabulary), options, settings.special_tokens);
  } catch (const std::invalid_argument& error) {
    refuse(file, std::string(error.what()) + "; name it in tokenizer_config.json or add it to the vocabulary");
  }
}

}  // namespace meshfold::data
