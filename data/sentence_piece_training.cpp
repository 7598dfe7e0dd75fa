#include "data/sentence_piece_training.hpp"

#include <sentencepiece_trainer.h>

#include <stdexcept>
#include <unordered_map>

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

}  // namespace meshfold::data
