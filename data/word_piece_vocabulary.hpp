#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::data {

/// The pieces of a WordPiece model by id, and how a word is cut into them. Immutable after construction.
class WordPieceVocabulary {
 public:
  /// A vocab.txt: one piece a line, the line number from 0 is its id, trailing white space is not part of it; of equal
  /// lines the last counts. Throws InputError with the line if the file cannot be read, is empty or is not UTF-8.
  static WordPieceVocabulary read(const std::filesystem::path& file);
  explicit WordPieceVocabulary(std::vector<std::string> pieces);

  std::size_t size() const { return pieces_.size(); }
  const std::vector<std::string>& pieces() const { return pieces_; }
  std::optional<std::int32_t> find(std::string_view piece) const;
  /// Appends the ids of the longest pieces from left to right ("##" before all but the first); appends `unknown_id`
  /// alone if the word cannot be cut or has more than 100 characters.
  void split_word(std::string_view word, std::int32_t unknown_id, std::vector<std::int32_t>& ids) const;

 private:
  struct Slot {
    std::uint32_t tag = 0;
    std::int32_t id = -1;
  };
  std::int32_t look_up(std::uint64_t hash, std::string_view prefix, std::string_view rest) const;
  void insert(std::int32_t id);

  std::vector<std::string> pieces_;
  std::vector<Slot> slots_;  ///< open addressing, at most half full
  std::size_t longest_piece_ = 0;
};

}  // namespace meshfold::data
