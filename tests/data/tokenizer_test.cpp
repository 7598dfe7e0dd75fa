#include "data/tokenizer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>

#include "data/error.hpp"
#include "data/utf8.hpp"
#include "tests/data/oracle_file.hpp"

namespace meshfold::data {
namespace {

/// "0041 0301": what a text is made of, for messages.
std::string in_code_points(std::string_view text) {
  std::string words;
  while (!text.empty()) {
    char hex[16];
    std::snprintf(hex, sizeof hex, "%04X ", static_cast<unsigned>(take_code_point(text)));
    words += hex;
  }
  return words;
}

std::vector<std::int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

class TokenizerOracle : public ::testing::TestWithParam<const char*> {
 protected:
  std::filesystem::path directory_ = oracle_directory("tokenizer");
};

TEST_P(TokenizerOracle, GivesTheIdsOfHuggingFaceTokenizers) {
  const auto tokenizer = load_tokenizer(directory_ / GetParam());
  OracleFile expected(directory_ / (std::string(GetParam()) + ".bin"));
  std::size_t num_texts = 0;
  std::size_t num_wrong = 0;
  for (; !expected.at_end(); ++num_texts) {
    const std::string text = expected.text();
    const auto ids = expected.ids();
    const auto ours = ids_of(*tokenizer, text);
    if (ours == ids) continue;
    if (++num_wrong <= 5) {
      ADD_FAILURE() << "text " << num_texts << ": " << in_code_points(text) << "\n expected "
                    << ::testing::PrintToString(ids) << "\n got      " << ::testing::PrintToString(ours);
    }
  }
  EXPECT_EQ(num_wrong, 0u);
  EXPECT_GT(num_texts, 33'000u);
}

INSTANTIATE_TEST_SUITE_P(Variants, TokenizerOracle,
                         ::testing::Values("real_uncased", "real_cased", "real_lower_with_accents",
                                           "real_cased_without_accents", "characters_uncased", "characters_cased",
                                           "characters_lower_with_accents", "characters_cased_without_accents"),
                         [](const auto& variant) { return std::string(variant.param); });

TEST(EncodeInput, CutsAndFramesSinglesAndPairsAsHuggingFaceTokenizersDo) {
  const auto tokenizer = load_tokenizer(oracle_directory("tokenizer") / "real_uncased");
  OracleFile expected(oracle_directory("tokenizer") / "inputs.bin");
  std::size_t num_pairs = 0;
  std::size_t num_full = 0;
  while (!expected.at_end()) {
    const std::size_t max_length = expected.number();
    const std::string first = expected.text();
    const bool has_pair = expected.number() != 0;
    const std::string second = expected.text();

    const EncodedInput input =
        encode_input(*tokenizer, first, has_pair ? &second : nullptr, {.max_length = max_length});

    const auto ids = expected.ids();
    ASSERT_EQ(input.ids, ids) << first << " | " << second << " at " << max_length;
    ASSERT_EQ(input.pair_start, expected.number()) << first << " | " << second << " at " << max_length;
    num_pairs += has_pair;
    num_full += ids.size() == max_length;
  }
  EXPECT_GT(num_pairs, 2000u);
  EXPECT_GT(num_full, 2000u);
}

/// Every byte is a token; framed as 1 a 2 b 3.
class LetterTokenizer final : public Tokenizer {
 public:
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const override {
    for (const char letter : text) ids.push_back(letter);
  }
  std::size_t vocabulary_size() const override { return 128; }
  std::string name() const override { return "letters"; }
  std::string hash() const override { return ""; }
  Framing framing() const override { return {1, 2, 3}; }
  std::int32_t pad_id() const override { return 0; }
};

std::string shown(const EncodedInput& input) {
  std::string text;
  for (const auto id : input.ids) text += id < 10 ? static_cast<char>('0' + id) : static_cast<char>(id);
  return text;
}

TEST(EncodeInput, HeadTailKeepsBothEndsOfWhatIsTooLong) {
  const LetterTokenizer letters;
  const Truncation truncation{.max_length = 10, .kind = Truncation::Kind::kHeadTail, .head_tokens = 2};
  const std::string pair = "uvwxyz";

  EXPECT_EQ(shown(encode_input(letters, "abcdefghijklmnop", nullptr, truncation)), "1abklmnop3");
  EXPECT_EQ(shown(encode_input(letters, "abcdefgh", nullptr, truncation)), "1abcdefgh3");
  EXPECT_EQ(shown(encode_input(letters, "abcdefgh", &pair, truncation)), "1abgh2uvz3");
}

TEST(EncodeInput, HeadTailKeepsOnlyTheStartOfASegmentThatHasRoomForNoMore) {
  const LetterTokenizer letters;
  const Truncation truncation{.max_length = 10, .kind = Truncation::Kind::kHeadTail, .head_tokens = 9};

  EXPECT_EQ(shown(encode_input(letters, "abcdefghijklmnop", nullptr, truncation)), "1abcdefgh3");
}

TEST(EncodeInput, OnlySecondLeavesTheFirstSegmentWhole) {
  const LetterTokenizer letters;
  const Truncation truncation{.max_length = 10, .kind = Truncation::Kind::kOnlySecond};
  const std::string pair = "uvwxyz";

  EXPECT_EQ(shown(encode_input(letters, "abcde", &pair, truncation)), "1abcde2uv3");
  EXPECT_EQ(shown(encode_input(letters, "abcdefg", &pair, truncation)), "1abcdefg23");
  EXPECT_EQ(shown(encode_input(letters, "abcdefghijkl", nullptr, truncation)), "1abcdefgh3");
  EXPECT_THROW(encode_input(letters, "abcdefgh", &pair, truncation), std::length_error);
}

TEST(EncodeInput, RefusesALengthWithoutRoomForTheSpecialTokens) {
  const auto tokenizer = load_tokenizer(oracle_directory("tokenizer") / "real_uncased");
  const std::string pair = "b";

  EXPECT_THROW(encode_input(*tokenizer, "a", nullptr, {.max_length = 1}), std::invalid_argument);
  EXPECT_THROW(encode_input(*tokenizer, "a", &pair, {.max_length = 2}), std::invalid_argument);
  EXPECT_EQ(encode_input(*tokenizer, "a", nullptr, {.max_length = 2}).ids.size(), 2u);
}

TEST(LoadTokenizer, ReadsTokenizerJsonAloneToTheSameIdsAndHash) {
  const auto from_json = load_tokenizer(oracle_directory("tokenizer") / "json_only");
  const auto from_text = load_tokenizer(oracle_directory("tokenizer") / "real_uncased");

  EXPECT_EQ(from_json->hash(), from_text->hash());
  EXPECT_EQ(ids_of(*from_json, "Unaffable, déjà vu!"), ids_of(*from_text, "Unaffable, déjà vu!"));
  EXPECT_EQ(from_json->vocabulary_size(), 30522u);
  EXPECT_EQ(from_json->framing().first, 101);
  EXPECT_EQ(from_json->framing().last, 102);
  EXPECT_EQ(from_json->pad_id(), 0);
}

/// A model directory made of a few small files.
class LoadTokenizerFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::path(::testing::TempDir()) /
                 (std::string("meshfold_tokenizer_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
    write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  void write(const char* name, std::string_view text) { std::ofstream(directory_ / name, std::ios::binary) << text; }
  std::string complaint() {
    try {
      load_tokenizer(directory_);
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  }
  std::filesystem::path directory_;
};

TEST_F(LoadTokenizerFiles, HashesTellApartWhateverChangesTheIds) {
  std::set<std::string> hashes;
  for (const char* config : {"{}", R"({"do_lower_case": false})", R"({"strip_accents": false})",
                             R"({"tokenize_chinese_chars": false})", R"({"sep_token": "[CLS]"})"}) {
    write("tokenizer_config.json", config);
    hashes.insert(load_tokenizer(directory_)->hash());
  }
  EXPECT_EQ(hashes.size(), 5u);
  write("tokenizer_config.json", R"({"do_lower_case": true, "strip_accents": null})");
  EXPECT_TRUE(hashes.contains(load_tokenizer(directory_)->hash()));
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\n##a\n");
  EXPECT_FALSE(hashes.contains(load_tokenizer(directory_)->hash()));
}

TEST_F(LoadTokenizerFiles, ReadsVocabularyLinesWithCarriageReturnsAndTheLastOfEqualOnes) {
  write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\na\r\n##b \r\na\r\n");

  EXPECT_EQ(ids_of(*load_tokenizer(directory_), "ab A"), (std::vector<std::int32_t>{6, 5, 6}));
}

TEST_F(LoadTokenizerFiles, RefusesWhatWouldNotGiveTheSameIds) {
  write("tokenizer_config.json", R"({"tokenizer_class": "BertJapaneseTokenizer"})");
  EXPECT_NE(complaint().find("tokenizer_class 'BertJapaneseTokenizer' is not supported"), std::string::npos);
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"7": {"content": "<url>"}}})");
  EXPECT_NE(complaint().find("added token '<url>' is not supported"), std::string::npos);
  write("tokenizer_config.json", R"({"added_tokens_decoder": {"4": {"content": "[MASK]", "lstrip": true}}})");
  EXPECT_NE(complaint().find("'[MASK]' has lstrip = true"), std::string::npos);
  write("tokenizer_config.json", R"({"do_lower_case": "yes"})");
  EXPECT_NE(complaint().find("key 'do_lower_case' is not true or false"), std::string::npos);
  write("tokenizer_config.json", "{");
  EXPECT_NE(complaint().find("not a JSON object"), std::string::npos);
  write("tokenizer_config.json", R"({"cls_token": "<s>"})");
  EXPECT_NE(complaint().find("vocab.txt: the vocabulary has no special token '<s>'"), std::string::npos);
}

TEST_F(LoadTokenizerFiles, SaysWhatIsMissingOrBroken) {
  write("vocab.txt", "[PAD]\n\xFF\n");
  EXPECT_NE(complaint().find("vocab.txt, line 2: not valid UTF-8"), std::string::npos);
  write("vocab.txt", "");
  EXPECT_NE(complaint().find("vocab.txt: empty"), std::string::npos);
  std::filesystem::remove(directory_ / "vocab.txt");
  EXPECT_NE(complaint().find("no tokenizer: a model directory needs vocab.txt"), std::string::npos);
  write("tokenizer.json", R"({"model": {"type": "WordLevel", "vocab": {}}})");
  EXPECT_NE(complaint().find("tokenizer.json: not a BERT WordPiece tokenizer"), std::string::npos);
  write("tokenizer.json", R"({"model": {"type": "Unigram", "vocab": []}})");
  EXPECT_NE(complaint().find("tokenizer.json: holds a Unigram model, which is not read from here; copy"),
            std::string::npos);
}

}  // namespace
}  // namespace meshfold::data
