#include "data/word_piece_vocabulary.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "data/bert_characters.hpp"
#include "data/error.hpp"
#include "data/utf8.hpp"

namespace meshfold::data {
namespace {

constexpr std::string_view kContinuation = "##";
constexpr std::size_t kMaxWordCharacters = 100;
constexpr std::size_t kMaxWordBytes = 4 * kMaxWordCharacters;

// A hash that grows by a byte at a time, so that one pass over a word gives the hash of every prefix. The multiplier is
// 2^64 divided by the golden ratio.
constexpr std::uint64_t kHashStart = 0xCBF29CE484222325;
constexpr std::uint64_t hash_more(std::uint64_t hash, char byte) {
  return ((hash ^ static_cast<unsigned char>(byte)) * 0x9E3779B97F4A7C15) ^ (hash >> 29);
}
constexpr std::uint64_t hash_of(std::string_view bytes, std::uint64_t hash = kHashStart) {
  for (const char byte : bytes) hash = hash_more(hash, byte);
  return hash;
}
constexpr std::uint64_t kContinuationHash = hash_of(kContinuation);

std::size_t slot_of(std::uint64_t hash, std::size_t num_slots) { return (hash ^ hash >> 32) & (num_slots - 1); }
std::uint32_t tag_of(std::uint64_t hash) { return static_cast<std::uint32_t>(hash >> 32); }

bool starts_character(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; }

std::string_view without_trailing_space(std::string_view line) {
  while (!line.empty()) {
    std::size_t last = line.size() - 1;
    while (last > 0 && !starts_character(line[last])) --last;
    std::string_view character = line.substr(last);
    if (!bert::is_space(take_code_point(character))) break;
    line = line.substr(0, last);
  }
  return line;
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw InputError({file.string(), {}, {}, ""}, std::string("cannot be opened: ") + std::strerror(errno));
  return {std::istreambuf_iterator<char>(stream), {}};
}

}  // namespace

WordPieceVocabulary WordPieceVocabulary::read(const std::filesystem::path& file) {
  const std::string text = read_file(file);
  std::vector<std::string> pieces;
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    if (find_invalid_utf8(line) != std::string_view::npos) {
      throw InputError({file.string(), {}, pieces.size() + 1, ""},
                       "not valid UTF-8; a vocabulary has one piece of UTF-8 text a line");
    }
    pieces.emplace_back(without_trailing_space(line));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  if (pieces.empty()) throw InputError({file.string(), {}, {}, ""}, "empty; a vocabulary has one piece a line");
  return WordPieceVocabulary(std::move(pieces));
}

WordPieceVocabulary::WordPieceVocabulary(std::vector<std::string> pieces)
    : pieces_(std::move(pieces)), slots_(std::bit_ceil(2 * pieces_.size() + 2)) {
  for (std::size_t id = 0; id < pieces_.size(); ++id) insert(static_cast<std::int32_t>(id));
}

void WordPieceVocabulary::insert(std::int32_t id) {
  const std::string& piece = pieces_[static_cast<std::size_t>(id)];
  const std::uint64_t hash = hash_of(piece);
  std::size_t at = slot_of(hash, slots_.size());
  while (slots_[at].id >= 0 && pieces_[static_cast<std::size_t>(slots_[at].id)] != piece) {
    at = (at + 1) & (slots_.size() - 1);
  }
  slots_[at] = {tag_of(hash), id};
  longest_piece_ = std::max(longest_piece_, piece.size());
}

std::int32_t WordPieceVocabulary::look_up(std::uint64_t hash, std::string_view prefix, std::string_view rest) const {
  for (std::size_t at = slot_of(hash, slots_.size());; at = (at + 1) & (slots_.size() - 1)) {
    const Slot slot = slots_[at];
    if (slot.id < 0) return -1;
    if (slot.tag != tag_of(hash)) continue;
    const std::string_view piece = pieces_[static_cast<std::size_t>(slot.id)];
    if (piece.size() == prefix.size() + rest.size() && piece.starts_with(prefix) && piece.ends_with(rest)) {
      return slot.id;
    }
  }
}

std::optional<std::int32_t> WordPieceVocabulary::find(std::string_view piece) const {
  const std::int32_t id = look_up(hash_of(piece), "", piece);
  return id < 0 ? std::nullopt : std::optional(id);
}

void WordPieceVocabulary::split_word(std::string_view word, std::int32_t unknown_id,
                                     std::vector<std::int32_t>& ids) const {
  const std::size_t first_id = ids.size();
  const auto give_up = [&] {
    ids.resize(first_id);
    ids.push_back(unknown_id);
  };
  if (word.size() > kMaxWordCharacters &&
      (word.size() > kMaxWordBytes ||
       std::count_if(word.begin(), word.end(), starts_character) > static_cast<std::ptrdiff_t>(kMaxWordCharacters))) {
    return give_up();
  }
  std::array<std::uint64_t, kMaxWordBytes + 1> hashes;  // NOLINT(cppcoreguidelines-pro-type-member-init): filled below
  for (std::size_t start = 0; start < word.size();) {
    const std::string_view prefix = start == 0 ? std::string_view() : kContinuation;
    std::size_t end = std::min(word.size(), start + longest_piece_);
    hashes[start] = start == 0 ? kHashStart : kContinuationHash;
    for (std::size_t i = start; i < end; ++i) hashes[i + 1] = hash_more(hashes[i], word[i]);
    std::int32_t id = -1;
    for (; end > start; --end) {
      id = look_up(hashes[end], prefix, word.substr(start, end - start));
      if (id >= 0) break;
    }
    if (id < 0) return give_up();
    ids.push_back(id);
    start = end;
  }
}

}  // namespace meshfold::data
