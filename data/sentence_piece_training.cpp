#include "data/sentence_piece_training.hpp"

#include <sentencepiece_trainer.h>

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <unordered_map>

#include "base/durable_file.hpp"
#include "data/error.hpp"
#include "data/load_sentence_piece.hpp"

namespace meshfold::data {
namespace {

class Texts final : public sentencepiece::SentenceIterator {
 public:
  explicit Texts(const std::vector<std::string>& texts) : texts_(texts) {}
  bool done() const override { return next_ == texts_.size(); }
  void Next() override { ++next_; }
  const std::string& value() const override { return texts_[next_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& texts_;
  std::size_t next_ = 0;
};

using Arguments = std::unordered_map<std::string, std::string>;

void add_special_tokens(SentencePieceTokenizer::Family family, Arguments& arguments) {
  const bool deberta = family == SentencePieceTokenizer::Family::kDeberta;
  arguments.insert({{"pad_id", "0"},
                    {"bos_id", deberta ? "1" : "2"},
                    {"eos_id", deberta ? "2" : "1"},
                    {"unk_id", "3"},
                    {"pad_piece", deberta ? "[PAD]" : "<pad>"},
                    {"bos_piece", deberta ? "[CLS]" : "<bos>"},
                    {"eos_piece", deberta ? "[SEP]" : "<eos>"},
                    {"unk_piece", deberta ? "[UNK]" : "<unk>"}});
}

nlohmann::ordered_json tokenizer_config(SentencePieceTokenizer::Family family) {
  if (family == SentencePieceTokenizer::Family::kDecoder) {
    return {{"tokenizer_class", "GemmaTokenizer"},
            {"add_bos_token", true},
            {"add_eos_token", false},
            {"pad_token", "<pad>"},
            {"bos_token", "<bos>"},
            {"eos_token", "<eos>"},
            {"unk_token", "<unk>"}};
  }
  return {{"tokenizer_class", "DebertaV2Tokenizer"},
          {"vocab_type", "spm"},
          {"do_lower_case", false},
          {"split_by_punct", false},
          {"pad_token", "[PAD]"},
          {"cls_token", "[CLS]"},
          {"bos_token", "[CLS]"},
          {"sep_token", "[SEP]"},
          {"eos_token", "[SEP]"},
          {"unk_token", "[UNK]"},
          {"mask_token", "[MASK]"}};
}

}  // namespace

std::string train_sentence_piece(const std::vector<std::string>& texts, const SentencePieceTraining& training) {
  Arguments arguments = {{"model_type", training.model == SentencePieceTraining::Model::kUnigram ? "unigram" : "bpe"},
                         {"vocab_size", std::to_string(training.vocabulary_size)},
                         {"character_coverage", std::to_string(training.character_coverage)},
                         {"byte_fallback", training.byte_fallback ? "true" : "false"},
                         {"max_sentence_length", "1000000000"},  // bytes; the library's default leaves out whole essays
                         {"num_threads", "4"},                   // the sums of unigram training depend on it
                         {"minloglevel", "2"}};
  add_special_tokens(training.family, arguments);
  Texts iterator(texts);
  std::string model;
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments, &iterator, &model);
  if (!status.ok()) throw std::invalid_argument("sentencepiece cannot train: " + std::string(status.message()));
  return model;
}

void refuse_to_replace_tokenizer(const std::filesystem::path& directory) {
  if (const auto found = find_sentence_piece_model(directory)) {
    throw InputError({found->string(), {}, {}, ""},
                     "exists already, and models may have been trained with it; name another directory");
  }
}

void write_tokenizer_directory(const std::filesystem::path& directory, const std::string& model,
                               SentencePieceTokenizer::Family family) {
  refuse_to_replace_tokenizer(directory);
  std::filesystem::create_directories(directory);
  const bool deberta = family == SentencePieceTokenizer::Family::kDeberta;
  base::replace_file(directory / "tokenizer_config.json", tokenizer_config(family).dump(2) + "\n");
  base::replace_file(directory / (deberta ? "spm.model" : "tokenizer.model"), model);
}

}  // namespace meshfold::data
