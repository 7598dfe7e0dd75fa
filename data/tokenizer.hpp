#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// Text to token ids, without special tokens. Const and safe to share between threads.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  /// Appends the ids of `text` (valid UTF-8) to `ids`.
  virtual void encode(std::string_view text, std::vector<std::int32_t>& ids) const = 0;
  virtual std::size_t vocabulary_size() const = 0;
  /// "wordpiece(uncased)", for people.
  virtual std::string name() const = 0;
  /// Hex XXH3-128 over everything that decides the ids (vocabulary and options); part of the dataset's cache key.
  virtual std::string hash() const = 0;
  /// Ids of the model family's special tokens.
  virtual std::int32_t cls_id() const = 0;
  virtual std::int32_t sep_id() const = 0;
  virtual std::int32_t pad_id() const = 0;
};

/// One model input: token ids with special tokens, and where the second segment begins (0: there is none).
struct EncodedInput {
  std::vector<std::int32_t> ids;
  std::uint32_t pair_start = 0;
};

/// [CLS] a [SEP], or [CLS] a [SEP] b [SEP], at most `max_length` ids (>= 2 / >= 3). Too long texts are cut at their end; with a pair
/// the longer one loses tokens first ("longest first", as tokenizers' default).
EncodedInput encode_input(const Tokenizer& tokenizer, std::string_view text, const std::string* pair, std::size_t max_length);

/// The tokenizer of a Hugging Face model directory (vocab.txt with tokenizer_config.json's do_lower_case, strip_accents,
/// tokenize_chinese_chars; absent keys have BERT's defaults). Throws InputError naming what is missing and which formats can be read.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_directory);

}  // namespace meshfold::data
