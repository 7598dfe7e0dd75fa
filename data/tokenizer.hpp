#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace meshfold::data {

/// The special tokens that a model family puts around a text: first a [between b] last. BERT and DeBERTa: [CLS], [SEP],
/// [SEP]; decoders: the begin-of-sequence token alone.
struct Framing {
  std::optional<std::int32_t> first, between, last;
};

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
  virtual Framing framing() const = 0;
  virtual std::int32_t pad_id() const = 0;
};

/// One model input: token ids with special tokens, and where the second segment begins (0: there is none).
struct EncodedInput {
  std::vector<std::int32_t> ids;
  std::uint32_t pair_start = 0;
};

/// How too long inputs are made to fit.
struct Truncation {
  enum class Kind {
    kLongestFirst,  ///< the longer segment loses tokens first, as the default of Hugging Face tokenizers
    kOnlySecond,    ///< only the second segment loses tokens; a single text is cut as in kLongestFirst
    kHeadTail,      ///< lengths as kLongestFirst; what a segment keeps is taken from both its ends (Sun et al., 2019)
  };
  std::size_t max_length = 512;  ///< ids of an input, special tokens among them
  Kind kind = Kind::kLongestFirst;
  std::size_t head_tokens = 0;  ///< kHeadTail: of a segment that is cut so many tokens come from its start, the others
                                ///< that it keeps from its end

  /// "128", "128 only_second", "128 head_tail 32": part of the dataset's cache key.
  std::string to_string() const;
};

/// One spelling of each kind, as `tokenizer.truncation` has it.
inline constexpr std::array<std::pair<const char*, Truncation::Kind>, 3> kTruncationNames = {
    {{"longest_first", Truncation::Kind::kLongestFirst},
     {"only_second", Truncation::Kind::kOnlySecond},
     {"head_tail", Truncation::Kind::kHeadTail}}};

/// The input of one text or of a pair, at most `max_length` ids. Throws std::invalid_argument if the special tokens
/// alone are longer, and std::length_error if kOnlySecond leaves no room for the first segment.
EncodedInput encode_input(const Tokenizer& tokenizer, std::string_view text, const std::string* pair,
                          const Truncation& truncation);

/// The tokenizer of a Hugging Face model directory. BERT: vocab.txt, or a tokenizer.json with a WordPiece model, with
/// tokenizer_config.json's do_lower_case, strip_accents, tokenize_chinese_chars (absent keys have BERT's defaults).
/// SentencePiece: spm.model or tokenizer.model, its family by tokenizer_class, else by its pieces. Throws InputError
/// naming what is missing and which formats can be read.
std::unique_ptr<Tokenizer> load_tokenizer(const std::filesystem::path& model_directory);

}  // namespace meshfold::data
