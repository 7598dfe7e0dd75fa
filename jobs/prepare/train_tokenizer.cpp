#include "jobs/prepare/train_tokenizer.hpp"

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "base/text.hpp"
#include "data/error.hpp"
#include "data/load_sentence_piece.hpp"
#include "data/table.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> text_columns(const TokenizerSection& tokenizer, const DataSection& data) {
  if (!tokenizer.columns.empty()) return tokenizer.columns;
  std::vector<std::string> columns{data.text};
  if (!data.text_pair.empty()) columns.push_back(data.text_pair);
  return columns;
}

/// The texts of the columns, column by column; empty ones teach nothing.
std::vector<std::string> read_texts(const std::string& file, const std::vector<std::string>& columns) {
  const auto table = data::open_table(file);
  std::vector<std::string> texts;
  for (const std::string& name : columns) {
    const std::size_t column = table->column(name);
    for (std::size_t row = 0; row < table->num_rows(); ++row) {
      std::string text = table->cell(row, column);
      if (!text.empty()) texts.push_back(std::move(text));
    }
  }
  if (texts.empty()) throw data::InputError({file, {}, {}, {}}, "the text columns hold no text");
  return texts;
}

std::string train(const std::vector<std::string>& texts, const data::SentencePieceTraining& training) {
  try {
    return data::train_sentence_piece(texts, training);
  } catch (const std::invalid_argument& error) {
    throw ConfigError("tokenizer.vocabulary_size = " + std::to_string(training.vocabulary_size) + ": " + error.what());
  }
}

/// "tokens: 21.4 a text, 0.02 % of them unknown", over a part of the texts.
std::string describe_tokens(const data::Tokenizer& tokenizer, const std::vector<std::string>& texts) {
  constexpr std::size_t kTexts = 10'000, kUnknown = 3;  // the id of the unknown piece in both layouts
  std::vector<std::int32_t> ids;
  const std::size_t count = std::min(texts.size(), kTexts), stride = texts.size() / count;
  for (std::size_t i = 0; i < count; ++i) tokenizer.encode(texts[i * stride], ids);
  const auto unknown = static_cast<double>(std::count(ids.begin(), ids.end(), static_cast<std::int32_t>(kUnknown)));
  const auto tokens = static_cast<double>(std::max<std::size_t>(ids.size(), 1));
  return base::format("tokens: %.1f a text, %.3f %% of them unknown",
                      static_cast<double>(ids.size()) / static_cast<double>(count), 100.0 * unknown / tokens);
}

}  // namespace

ExitCode run_train_tokenizer(const RunConfig& config, RunEnvironment& environment) {
  const auto directory = config.tokenizer.output.empty() ? fs::path(config.run.directory) / "tokenizer"
                                                         : fs::path(config.tokenizer.output);
  data::refuse_to_replace_tokenizer(directory);
  const std::vector<std::string> texts = read_texts(config.data.train, text_columns(config.tokenizer, config.data));
  environment.console.say("training a tokenizer on " + std::to_string(texts.size()) + " texts of " + config.data.train);
  const std::string model = train(texts, config.tokenizer.training);
  data::write_tokenizer_directory(directory, model, config.tokenizer.training.family);
  const auto tokenizer = data::load_tokenizer(directory);
  environment.console.say(tokenizer->name() + " of " + std::to_string(tokenizer->vocabulary_size()) +
                          " tokens: " + directory.string());
  environment.console.say(describe_tokens(*tokenizer, texts));
  return ExitCode::kDone;
}

}  // namespace meshfold::jobs
