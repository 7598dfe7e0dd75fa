#include "data/sentence_piece.hpp"

#include <sentencepiece_processor.h>

#include <stdexcept>

#include "base/checksum.hpp"
#include "data/error.hpp"
#include "data/map_input.hpp"

namespace meshfold::data {
namespace {

using Family = SentencePieceTokenizer::Family;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& problem) {
  throw InputError({file.string(), {}, {}, ""}, problem);
}

void load(sentencepiece::SentencePieceProcessor& processor, const std::filesystem::path& file, std::string_view bytes) {
  // An empty file parses as an empty model, which the library then trips over.
  if (bytes.empty()) refuse(file, "empty; a SentencePiece model is needed");
  const auto status = processor.LoadFromSerializedProto(bytes);
  if (!status.ok()) {
    refuse(file, "not a SentencePiece model that can be read (" + std::string(status.message()) +
                     "); fetch the model directory again");
  }
}

std::optional<std::int32_t> find_piece(const sentencepiece::SentencePieceProcessor& processor,
                                       const std::string& piece) {
  const int id = processor.PieceToId(piece);
  if (processor.IdToPiece(id) != piece) return std::nullopt;  // the library answers with the unknown piece
  return id;
}

std::string content_hash(std::string_view bytes, Family family) {
  const std::string family_tag = family == Family::kDeberta ? "sentencepiece 1 deberta" : "sentencepiece 1 decoder";
  base::Xxh3Stream hash;
  hash.add(family_tag);
  hash.add(bytes);
  return hash.hex();
}

}  // namespace

struct SentencePieceTokenizer::Processor {
  sentencepiece::SentencePieceProcessor library;
};

SentencePieceTokenizer::SentencePieceTokenizer(const std::filesystem::path& file, Family family)
    : processor_(std::make_unique<Processor>()), family_(family) {
  const base::MappedFile mapped = map_input(file);
  const auto& library = processor_->library;
  load(processor_->library, file, mapped.bytes());
  hash_ = content_hash(mapped.bytes(), family);
  vocabulary_size_ = static_cast<std::size_t>(library.GetPieceSize());

  if (family == Family::kDecoder) {
    if (library.bos_id() < 0) refuse(file, "has no begin-of-sequence piece, which this model family starts texts with");
    framing_ = {library.bos_id(), std::nullopt, std::nullopt};
    pad_id_ = library.pad_id() >= 0 ? library.pad_id() : library.unk_id();
    return;
  }
  const auto required = [&](const char* piece) {
    const auto id = find_piece(library, piece);
    if (!id) refuse(file, std::string("has no piece ") + piece + ", which DeBERTa's layout needs");
    special_tokens_.add(piece, *id);
    return *id;
  };
  pad_id_ = required("[PAD]");
  const auto cls = required("[CLS]"), sep = required("[SEP]");
  required("[UNK]");
  framing_ = {cls, sep, sep};
  auto mask = find_piece(library, "[MASK]");
  if (!mask) mask = static_cast<std::int32_t>(vocabulary_size_++);
  special_tokens_.add("[MASK]", *mask);
}

SentencePieceTokenizer::~SentencePieceTokenizer() = default;

void SentencePieceTokenizer::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  if (family_ == Family::kDecoder) return encode_plain(text, ids);
  special_tokens_.split(
      text, [&](std::string_view plain) { encode_plain(plain, ids); }, [&](std::int32_t id) { ids.push_back(id); });
}

void SentencePieceTokenizer::encode_plain(std::string_view text, std::vector<std::int32_t>& ids) const {
  std::vector<int> pieces;
  const auto status = processor_->library.Encode(text, &pieces);
  if (!status.ok()) throw std::runtime_error("sentencepiece cannot encode a text: " + std::string(status.message()));
  ids.insert(ids.end(), pieces.begin(), pieces.end());
}

std::size_t SentencePieceTokenizer::vocabulary_size() const { return vocabulary_size_; }

std::string SentencePieceTokenizer::name() const {
  return family_ == Family::kDeberta ? "sentencepiece(DeBERTa)" : "sentencepiece(decoder)";
}

std::optional<std::int32_t> SentencePieceTokenizer::piece_id(const std::string& piece) const {
  return find_piece(processor_->library, piece);
}

SentencePieceTokenizer::Family family_of_pieces(const std::filesystem::path& file) {
  sentencepiece::SentencePieceProcessor processor;
  const base::MappedFile mapped = map_input(file);
  load(processor, file, mapped.bytes());
  if (find_piece(processor, "[CLS]") && find_piece(processor, "[SEP]")) return Family::kDeberta;
  if (processor.bos_id() >= 0) return Family::kDecoder;
  refuse(file,
         "has neither the pieces [CLS] and [SEP] nor a begin-of-sequence piece; name the model family by "
         "tokenizer_class in tokenizer_config.json");
}

}  // namespace meshfold::data
