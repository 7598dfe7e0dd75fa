#include "data/word_piece.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

namespace meshfold::data {
namespace {

using Ids = std::vector<std::int32_t>;

//                                       0        1        2        3        4         5     6       7      8     9 10
//                                       11      12
const std::vector<std::string> kPieces = {"[PAD]",  "[UNK]", "[CLS]", "[SEP]", "[MASK]",   "un", "##aff",
                                          "##able", "!",     "[",     "]",     "\xC3\xA9", "e"};

Ids ids_of(std::string_view text, const BertNormalizerOptions& options = {}) {
  const WordPieceTokenizer tokenizer(WordPieceVocabulary(kPieces), options);
  Ids ids;
  tokenizer.encode(text, ids);
  return ids;
}

TEST(WordPiece, CutsAWordIntoTheLongestPiecesFromTheLeft) { EXPECT_EQ(ids_of("unaffable un!"), (Ids{5, 6, 7, 5, 8})); }

TEST(WordPiece, GivesUnknownForAWholeWordWhoseEndCannotBeCut) { EXPECT_EQ(ids_of("unaffablex unaff"), (Ids{1, 5, 6})); }

TEST(WordPiece, TakesSpecialTokensOutOfTheRawText) {
  EXPECT_EQ(ids_of("un[SEP]un"), (Ids{5, 3, 5}));
  EXPECT_EQ(ids_of("[[MASK]]"), (Ids{9, 4, 10}));
  EXPECT_EQ(ids_of("[sep]"), (Ids{9, 1, 10}));  // only as written
}

TEST(WordPiece, KeepsAccentsAndCaseWhenCased) {
  const BertNormalizerOptions cased{.lowercase = false, .strip_accents = false, .split_ideographs = true};

  EXPECT_EQ(ids_of("\xC3\xA9 \xC3\x89 E"), (Ids{12, 12, 12}));
  EXPECT_EQ(ids_of("\xC3\xA9 \xC3\x89 E", cased), (Ids{11, 1, 1}));
}

TEST(WordPiece, AppendsToTheIdsThatAreThere) {
  const WordPieceTokenizer tokenizer(WordPieceVocabulary(kPieces), {});
  Ids ids = {42};

  tokenizer.encode("unx", ids);

  EXPECT_EQ(ids, (Ids{42, 1}));
}

TEST(WordPiece, RefusesAVocabularyWithoutItsSpecialTokens) {
  EXPECT_THROW(WordPieceTokenizer(WordPieceVocabulary({"[PAD]", "[UNK]", "[CLS]", "a"}), {}), std::invalid_argument);
  EXPECT_NO_THROW(WordPieceTokenizer(WordPieceVocabulary({"[PAD]", "[UNK]", "[CLS]", "[SEP]"}), {}));
}

}  // namespace
}  // namespace meshfold::data
