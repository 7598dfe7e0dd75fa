#include "data/sentence_piece.hpp"

#include <gtest/gtest.h>

#include <fstream>

#include "data/error.hpp"
#include "data/sentence_piece_training.hpp"
#include "tests/data/oracle_file.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::data {
namespace {

using Family = SentencePieceTokenizer::Family;

std::vector<std::int32_t> ids_of(const Tokenizer& tokenizer, std::string_view text) {
  std::vector<std::int32_t> ids;
  tokenizer.encode(text, ids);
  return ids;
}

class SentencePieceOracle : public ::testing::TestWithParam<const char*> {};

TEST_P(SentencePieceOracle, GivesTheIdsOfPythonsSentencepiece) {
  const auto directory = oracle_directory("sentence_piece");
  const auto tokenizer = load_tokenizer(directory / GetParam());
  OracleFile expected(directory / (std::string(GetParam()) + ".bin"));
  std::size_t num_texts = 0;
  std::size_t num_wrong = 0;
  for (; !expected.at_end(); ++num_texts) {
    const std::string text = expected.text();
    const auto ids = expected.ids();
    if (ids_of(*tokenizer, text) == ids) continue;
    if (++num_wrong <= 5) {
      ADD_FAILURE() << "text " << num_texts << ": " << text << "\n expected " << ::testing::PrintToString(ids)
                    << "\n got      " << ::testing::PrintToString(ids_of(*tokenizer, text));
    }
  }
  EXPECT_EQ(num_wrong, 0u);
  EXPECT_GT(num_texts, 8000u);
}

INSTANTIATE_TEST_SUITE_P(Models, SentencePieceOracle, ::testing::Values("deberta", "bpe_bytes", "gemma", "mistral"),
                         [](const auto& model) { return std::string(model.param); });

TEST(SentencePieceTokenizer, FramesTextsAsTheModelFamilyDoes) {
  const auto directory = oracle_directory("sentence_piece");
  const std::string pair = "Good night";

  const auto deberta = load_tokenizer(directory / "deberta");
  const auto framed = encode_input(*deberta, "Good day", &pair, {.max_length = 64});
  const auto first = ids_of(*deberta, "Good day"), second = ids_of(*deberta, pair);
  std::vector<std::int32_t> expected{1};
  expected.insert(expected.end(), first.begin(), first.end());
  expected.push_back(2);
  EXPECT_EQ(framed.pair_start, expected.size());
  expected.insert(expected.end(), second.begin(), second.end());
  expected.push_back(2);
  EXPECT_EQ(framed.ids, expected);
  EXPECT_EQ(deberta->pad_id(), 0);
  EXPECT_EQ(deberta->vocabulary_size(), 4001u) << "[MASK] comes after the pieces";

  const auto gemma = load_tokenizer(directory / "gemma");
  EXPECT_EQ(gemma->vocabulary_size(), 256'000u);
  EXPECT_EQ(encode_input(*gemma, "", nullptr, {.max_length = 64}).ids, (std::vector<std::int32_t>{2}));
  EXPECT_EQ(encode_input(*gemma, "Good day", nullptr, {.max_length = 2}).ids.size(), 2u);
}

/// Sentences over a small alphabet in which words repeat.
std::vector<std::string> small_corpus() {
  const std::vector<std::string> words = {"river", "rivers", "stone", "stones", "walking", "walked", "night", "light"};
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 400; ++i) {
    std::string text;
    for (std::size_t j = 0; j < 6; ++j) text += (j ? " " : "") + words[(i * 5 + j * (1 + i % 7)) % words.size()];
    texts.push_back(text);
  }
  return texts;
}

class SentencePieceTrainingTest : public ::testing::Test {
 protected:
  std::filesystem::path keep(const std::string& model) {
    const auto file = directory_.path() / "spm.model";
    std::ofstream(file, std::ios::binary) << model;
    return file;
  }
  TemporaryDirectory directory_;
};

TEST_F(SentencePieceTrainingTest, LaysSpecialTokensOutAsDeBertaHasThem) {
  const auto model = train_sentence_piece(small_corpus(), {.vocabulary_size = 26});

  const SentencePieceTokenizer tokenizer(keep(model), Family::kDeberta);

  EXPECT_EQ(tokenizer.piece_id("[PAD]"), 0);
  EXPECT_EQ(tokenizer.piece_id("[CLS]"), 1);
  EXPECT_EQ(tokenizer.piece_id("[SEP]"), 2);
  EXPECT_EQ(tokenizer.piece_id("[UNK]"), 3);
  EXPECT_EQ(tokenizer.vocabulary_size(), 27u);
  EXPECT_EQ(ids_of(tokenizer, "[SEP][MASK]"), (std::vector<std::int32_t>{2, 26}));
  EXPECT_EQ(family_of_pieces(directory_.path() / "spm.model"), Family::kDeberta);
  const auto unknown = ids_of(tokenizer, "漢");
  EXPECT_EQ(unknown.back(), 3);
}

TEST_F(SentencePieceTrainingTest, ByteFallbackLeavesNothingUnknown) {
  SentencePieceTraining training;
  training.model = SentencePieceTraining::Model::kBpe;
  training.family = Family::kDecoder;
  training.vocabulary_size = 320;
  training.byte_fallback = true;
  const SentencePieceTokenizer tokenizer(keep(train_sentence_piece(small_corpus(), training)), Family::kDecoder);

  const auto ids = ids_of(tokenizer, "漢");

  EXPECT_EQ(tokenizer.framing().first, tokenizer.piece_id("<bos>"));
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 3), 0);
  EXPECT_EQ(ids.back(), tokenizer.piece_id("<0xA2>")) << "U+6F22 is E6 BC A2 in UTF-8";
}

TEST_F(SentencePieceTrainingTest, GivesTheSameBytesEachTime) {
  const auto texts = small_corpus();

  EXPECT_EQ(train_sentence_piece(texts, {.vocabulary_size = 26}), train_sentence_piece(texts, {.vocabulary_size = 26}));
}

TEST_F(SentencePieceTrainingTest, SaysHowLargeTheVocabularyMayBe) {
  try {
    train_sentence_piece(small_corpus(), {.vocabulary_size = 50'000});
    FAIL() << "accepted";
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find("ocabulary size"), std::string::npos) << error.what();
  }
}

TEST_F(SentencePieceTrainingTest, HashesTellApartModelAndFamily) {
  const auto file = keep(train_sentence_piece(small_corpus(), {.vocabulary_size = 26}));
  const auto as_deberta = SentencePieceTokenizer(file, Family::kDeberta).hash();
  const auto as_decoder = SentencePieceTokenizer(file, Family::kDecoder).hash();
  keep(train_sentence_piece(small_corpus(), {.vocabulary_size = 25}));

  EXPECT_NE(as_deberta, as_decoder);
  EXPECT_NE(as_deberta, SentencePieceTokenizer(file, Family::kDeberta).hash());
}

TEST_F(SentencePieceTrainingTest, WritesDirectoriesThatNameTheirFamilyAndKeepsWhatIsThere) {
  SentencePieceTraining decoder;
  decoder.family = Family::kDecoder;
  decoder.vocabulary_size = 26;
  const auto deberta_model = train_sentence_piece(small_corpus(), {.vocabulary_size = 26});
  const auto first = directory_.path() / "new" / "deberta", second = directory_.path() / "decoder";

  write_tokenizer_directory(first, deberta_model, Family::kDeberta);
  write_tokenizer_directory(second, train_sentence_piece(small_corpus(), decoder), Family::kDecoder);

  EXPECT_EQ(load_tokenizer(first)->name(), "sentencepiece(DeBERTa)");
  EXPECT_EQ(load_tokenizer(second)->name(), "sentencepiece(decoder)");
  EXPECT_EQ(load_tokenizer(first)->vocabulary_size(), 27u);
  try {
    write_tokenizer_directory(first, "another", Family::kDecoder);
    FAIL() << "replaced a tokenizer";
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("spm.model: exists already"), std::string::npos) << error.what();
  }
  EXPECT_EQ(load_tokenizer(first)->name(), "sentencepiece(DeBERTa)");
}

class SentencePieceFiles : public SentencePieceTrainingTest {
 protected:
  void write(const char* name, std::string_view text) {
    std::ofstream(directory_.path() / name, std::ios::binary) << text;
  }
  std::string complaint() {
    try {
      load_tokenizer(directory_.path());
    } catch (const InputError& error) {
      return error.what();
    }
    return "accepted";
  }
};

TEST_F(SentencePieceFiles, RefusesWhatIsNoModel) {
  for (const std::string_view bytes :
       {std::string_view(""), std::string_view("not a protocol buffer"), std::string_view("\x0a\x05\x0a\x03", 4)}) {
    write("spm.model", bytes);
    EXPECT_NE(complaint().find("spm.model: "), std::string::npos) << complaint();
  }
}

TEST_F(SentencePieceFiles, RefusesAModelThatWasCutShort) {
  const auto model = train_sentence_piece(small_corpus(), {.vocabulary_size = 26});
  for (const std::size_t size : {model.size() / 10, model.size() / 2, model.size() - 1}) {
    write("spm.model", std::string_view(model).substr(0, size));
    EXPECT_NE(complaint().find("spm.model: "), std::string::npos) << size << ": " << complaint();
  }
}

TEST_F(SentencePieceFiles, RefusesFamiliesAndSettingsThatWouldChangeTheIds) {
  keep(train_sentence_piece(small_corpus(), {.vocabulary_size = 26}));
  EXPECT_EQ(complaint(), "accepted");
  write("tokenizer_config.json", R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  EXPECT_NE(complaint().find("tokenizer_class 'XLMRobertaTokenizer' is not supported"), std::string::npos);
  write("tokenizer_config.json", R"({"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": true})");
  EXPECT_NE(complaint().find("do_lower_case = true is not supported"), std::string::npos);
  write("tokenizer_config.json", R"({"tokenizer_class": "GemmaTokenizer", "add_bos_token": false})");
  EXPECT_NE(complaint().find("add_bos_token = false is not supported"), std::string::npos);
  SentencePieceTraining training;
  training.family = Family::kDecoder;
  training.vocabulary_size = 26;
  keep(train_sentence_piece(small_corpus(), training));
  write("tokenizer_config.json", R"({"tokenizer_class": "DebertaV2TokenizerFast"})");
  EXPECT_NE(complaint().find("has no piece [PAD], which DeBERTa's layout needs"), std::string::npos);
}

}  // namespace
}  // namespace meshfold::data
