// The dataset file as all ranks make it together, against what one process makes of the same table.

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <vector>

#include "data/table.hpp"
#include "data/tokenizer.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/watchdog.hpp"
#include "jobs/error.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// A directory that all ranks share, with a model directory that has a tiny vocabulary.
class Prepare : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "meshfold-prepare-XXXXXX").string();
    if (rank() == 0 && mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed");
    directory_ = world_->broadcast_bytes(name, 0);
    if (rank() == 0) {
      fs::create_directories(directory_ / "model");
      std::ofstream vocabulary(directory_ / "model" / "vocab.txt");
      for (const char* word : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "one", "two", "three", "##s", "."})
        vocabulary << word << '\n';
    }
    world_->barrier();
    config_.run.directory = (directory_ / "run").string();
    config_.model.path = (directory_ / "model").string();
    config_.data.targets = {"a", "b"};
    config_.data.group = "doc";
  }
  void TearDown() override {
    world_->barrier();
    if (rank() == 0) fs::remove_all(directory_);
  }

  int rank() const { return world_->rank(); }

  fs::path write_table(const std::string& text, const char* name = "table.csv") {
    const fs::path file = directory_ / name;
    if (rank() == 0) std::ofstream(file, std::ios::binary) << text;
    world_->barrier();
    return file;
  }
  PreparedDataset prepare(const fs::path& table, TableRole role = TableRole::kTrain) {
    RunEnvironment environment{tests::rank_environment(), watchdog_, console_, [] { return false; }};
    return prepare_dataset(config_, table, role, environment);
  }
  std::string refusal_of(const std::string& text, TableRole role = TableRole::kTrain) {
    const fs::path table = write_table(text);
    try {
      prepare(table, role);
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }

  std::unique_ptr<dist::ProcessGroup> world_ = dist::make_mpi_process_group(tests::rank_environment().world(), "test");
  dist::Watchdog watchdog_{world_->rank()};
  Console console_{world_->rank()};
  fs::path directory_;
  RunConfig config_;
};

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

/// Twelve rows of very different lengths in four documents.
std::string small_table() {
  std::string text = "id,text,a,b,doc\n";
  for (int i = 0; i < 12; ++i) {
    text += "row-" + std::to_string(i) + ",";
    for (int k = 0; k <= i * i % 17; ++k) text += k % 2 == 0 ? "ones " : "three. ";
    text += "," + std::to_string(i) + ".5,-" + std::to_string(i) + ",doc" + std::to_string(9 - i / 3) + "\n";
  }
  return text;
}

/// Every value of the dataset against the table and the tokenizer, row by row.
void expect_holds(const data::Dataset& dataset, const fs::path& file, const RunConfig& config) {
  const auto opened = data::open_table(file);
  const data::Table& table = *opened;
  const auto tokenizer = data::load_tokenizer(config.model.path);
  ASSERT_EQ(dataset.num_samples(), table.num_rows());
  ASSERT_EQ(dataset.num_targets(), config.data.targets.size());
  std::map<std::string, std::int32_t> codes;
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
    ASSERT_EQ(dataset.id(row), table.cell(row, table.column("id")));
    const auto expected = data::encode_input(*tokenizer, table.cell(row, table.column("text")), nullptr,
                                             {.max_length = static_cast<std::size_t>(config.tokenizer.max_length)});
    std::vector<std::int32_t> ids(dataset.length(row));
    dataset.copy_tokens(row, ids.data());
    ASSERT_EQ(ids, expected.ids) << "row " << row;
    EXPECT_EQ(dataset.pair_start(row), expected.pair_start);
    for (std::size_t c = 0; c < config.data.targets.size(); ++c) {
      ASSERT_EQ(dataset.targets(row)[c], static_cast<float>(table.number(row, table.column(config.data.targets[c]))));
    }
    const std::string group = table.cell(row, table.column("doc"));
    const auto code = codes.emplace(group, static_cast<std::int32_t>(codes.size())).first->second;
    ASSERT_EQ(dataset.group(row), code) << "codes are given in the order of first appearance";
    ASSERT_EQ(dataset.group_name(code), group);
  }
  EXPECT_EQ(dataset.num_groups(), codes.size());
}

TEST_F(Prepare, HoldsTheTableOnAnyNumberOfRanksAndComesFromTheCacheTheSecondTime) {
  const fs::path table = write_table(small_table());

  const auto made = prepare(table);
  const auto again = prepare(table);

  EXPECT_FALSE(made.from_cache);
  EXPECT_TRUE(again.from_cache);
  EXPECT_EQ(made.file, again.file);
  expect_holds(made.dataset, table, config_);
  expect_holds(again.dataset, table, config_);
  const auto files = std::distance(fs::directory_iterator(directory_ / "run" / "data"), fs::directory_iterator());
  EXPECT_EQ(files, 1) << "a temporary file was left";
}

TEST_F(Prepare, HoldsAJsonLinesTableOnAnyNumberOfRanks) {
  std::string text = "\xEF\xBB\xBF";
  for (int i = 0; i < 12; ++i) {
    std::string words;
    for (int k = 0; k <= i * i % 17; ++k) words += k % 2 == 0 ? "ones\\n" : "three. ";
    text += "{\"doc\": " + std::to_string(9 - i / 3) + ", \"a\": " + std::to_string(i) + ".5, \"text\": \"" + words +
            "\", \"b\": " + (i % 2 == 0 ? "true" : "\"-3\"") + ", \"id\": " + std::to_string(i) +
            ", \"more\": [1, {}]}\r\n";
  }
  const fs::path table = write_table(text, "table.jsonl");

  const auto made = prepare(table);

  expect_holds(made.dataset, table, config_);
  EXPECT_EQ(made.dataset.id(11), "11");
  EXPECT_EQ(made.dataset.targets(0)[1], 1.0F);
  EXPECT_EQ(made.dataset.targets(1)[1], -3.0F);
}

TEST_F(Prepare, NamesTheRowAndKeyOfEveryFaultOfAJsonLinesTable) {
  const std::string good = "{\"id\": 1, \"text\": \"one\", \"a\": 1, \"b\": 2, \"doc\": \"x\"}\n\n";
  const auto refusal = [&](const std::string& row) {
    try {
      prepare(write_table(good + row, "table.jsonl"));
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };

  EXPECT_CONTAINS(refusal("{\"id\": 1, \"text\": \"two\", \"a\": 1, \"b\": 2, \"doc\": \"x\"}"),
                  "row 2 (line 3), column 'id': the id '1' is already that of row 1");
  EXPECT_CONTAINS(refusal("{\"id\": 2, \"text\": null, \"a\": 1, \"b\": 2, \"doc\": \"x\"}"),
                  "row 2 (line 3), column 'text': empty text");
  EXPECT_CONTAINS(refusal("{\"id\": 2, \"text\": \"two\", \"a\": 1, \"doc\": \"x\"}"),
                  "row 2 (line 3), column 'b': the key is missing");
  EXPECT_CONTAINS(refusal("{\"id\": 2, \"text\": \"two\", \"a\": 1, \"b\": {}, \"doc\": \"x\"}"),
                  "row 2 (line 3), column 'b': a JSON object");
  EXPECT_CONTAINS(refusal("{\"id\": [2], \"text\": \"two\", \"a\": 1, \"b\": 2, \"doc\": \"x\"}"),
                  "row 2 (line 3), column 'id': a JSON list");
  EXPECT_CONTAINS(refusal("{\"id\": 2, \"tex"), "row 2 (line 3)");
}

TEST_F(Prepare, HoldsTheRealTable) {
  const char* root = std::getenv("MESHFOLD_TEST_DATA");
  if (root == nullptr || *root == '\0') FAIL() << "MESHFOLD_TEST_DATA is not set; scripts/test sets it";
  config_.model.path = (fs::path(root) / "minilm").string();
  config_.data.targets = {"mean", "sd", "share_negative", "share_neutral", "share_positive", "median"};

  const auto made = prepare(fs::path(root) / "vader.csv");

  EXPECT_EQ(made.dataset.num_samples(), 23703u);
  expect_holds(made.dataset, fs::path(root) / "vader.csv", config_);
}

TEST_F(Prepare, WorksWithFewerRowsThanRanks) {
  const fs::path table = write_table("id,text,a,b,doc\nx,one two,1,2,d\n");

  const auto made = prepare(table);

  expect_holds(made.dataset, table, config_);
}

TEST_F(Prepare, MakesAnotherFileWhenAnythingThatMattersChanges) {
  const fs::path table = write_table(small_table());
  const auto first = prepare(table);

  config_.tokenizer.max_length = 5;
  const auto shorter = prepare(table);
  config_.data.targets = {"b"};
  const auto fewer = prepare(table);
  write_table(small_table() + "extra,one,1,2,doc9\n");
  const auto longer = prepare(table);

  EXPECT_FALSE(shorter.from_cache || fewer.from_cache || longer.from_cache);
  EXPECT_NE(first.dataset.source_hash(), shorter.dataset.source_hash());
  EXPECT_LE(shorter.dataset.length(11), 5u);
  EXPECT_EQ(longer.dataset.num_samples(), 13u);
}

/// The hash that the program had given such a table before there was a choice of truncation: caches stay valid.
TEST_F(Prepare, KnowsADatasetOfTheDefaultTruncationByTheHashThatItAlwaysHad) {
  EXPECT_EQ(prepare(write_table(small_table())).dataset.source_hash(), "b160b6564079fb578acefde609741227");
}

TEST_F(Prepare, MakesAnotherFileForAnotherTruncation) {
  const fs::path table = write_table("id,text,other,a,doc\n1,one two three one two,three two one,1,x\n");
  config_.data.targets = {"a"};
  config_.data.text_pair = "other";
  config_.tokenizer.max_length = 9;
  const auto ids = [&] {
    const auto made = prepare(table);
    EXPECT_FALSE(made.from_cache);
    std::vector<std::int32_t> tokens(made.dataset.length(0));
    made.dataset.copy_tokens(0, tokens.data());
    return tokens;
  };

  const auto longest_first = ids();
  config_.tokenizer.truncation = data::Truncation::Kind::kOnlySecond;
  const auto only_second = ids();
  config_.tokenizer.truncation = data::Truncation::Kind::kHeadTail;
  config_.tokenizer.head_tokens = 1;
  const auto head_tail = ids();
  config_.tokenizer.head_tokens = 2;
  const auto longer_head = ids();

  using Ids = std::vector<std::int32_t>;  // one 5, two 6, three 7
  EXPECT_EQ(longest_first, (Ids{2, 5, 6, 7, 3, 7, 6, 5, 3}));
  EXPECT_EQ(only_second, (Ids{2, 5, 6, 7, 5, 6, 3, 7, 3}));
  EXPECT_EQ(head_tail, (Ids{2, 5, 5, 6, 3, 7, 6, 5, 3}));
  EXPECT_EQ(longer_head, (Ids{2, 5, 6, 6, 3, 7, 6, 5, 3}));
}

TEST_F(Prepare, NamesTheRowWhoseFirstSegmentLeavesNoRoomForTheSecond) {
  config_.data.targets = {"a"};
  config_.data.text_pair = "other";
  config_.tokenizer.max_length = 5;
  config_.tokenizer.truncation = data::Truncation::Kind::kOnlySecond;

  EXPECT_CONTAINS(refusal_of("id,text,other,a,doc\n1,one two,one,1,x\n2,one two three,one,1,x\n"),
                  "row 2 (line 3): the first segment has 3 tokens, more than the 2 that there is room for");
}

TEST_F(Prepare, MakesADamagedCacheFileAgain) {
  const fs::path table = write_table(small_table());
  const auto made = prepare(table);
  world_->barrier();
  if (rank() == 0) fs::resize_file(made.file, fs::file_size(made.file) / 2);
  world_->barrier();

  const auto again = prepare(table);

  EXPECT_FALSE(again.from_cache);
  expect_holds(again.dataset, table, config_);
}

TEST_F(Prepare, SortsClassNamesAndStoresTheirIndex) {
  config_.model.task = models::Task::kClassification;
  config_.data.targets = {"label"};
  const fs::path table =
      write_table("id,text,label,doc\n1,one,sport,a\n2,two,art,a\n3,three,sport,b\n4,one,\"b, c\",b\n");

  for (const bool cached : {false, true}) {
    const auto made = prepare(table);
    EXPECT_EQ(made.from_cache, cached);
    EXPECT_EQ(made.class_names, (std::vector<std::string>{"art", "b, c", "sport"}));
    const std::vector<float> expected = {2, 0, 2, 1};
    for (std::uint32_t row = 0; row < 4; ++row) EXPECT_EQ(made.dataset.targets(row)[0], expected[row]);
  }
}

TEST_F(Prepare, ReadsFoldsAndTextPairs) {
  config_.data.fold = "fold";
  config_.data.text_pair = "other";
  config_.data.targets = {"a"};
  const fs::path table = write_table("id,text,other,a,doc,fold\n1,one,two three,1,x,1\n2,two,one,2,y,0\n");

  const auto made = prepare(table);

  ASSERT_TRUE(made.dataset.has_folds());
  EXPECT_EQ(made.dataset.fold(0), 1);
  EXPECT_EQ(made.dataset.fold(1), 0);
  EXPECT_EQ(made.dataset.pair_start(0), 3u);  // [CLS] one [SEP] two three [SEP]
  EXPECT_EQ(made.dataset.length(0), 6u);
}

/// Twelve rows of three conversations each, as JSON Lines, and the texts that data.turns = all with joiner " two "
/// makes.
std::string conversations(std::vector<std::vector<std::string>>& texts) {
  std::string table;
  for (int i = 0; i < 12; ++i) {
    const std::string number = std::to_string(i);
    table += "{\"id\": \"s" + number + "\"";
    auto& row = texts.emplace_back();
    for (const char* column : {"prompt", "left", "right"}) {
      std::string turns, text;
      for (int k = 0; k <= (i * 5 + column[0]) % 4; ++k) {
        const bool is_null = (i + k) % 5 == 4;
        turns += std::string(k == 0 ? "" : ", ") + (is_null ? "null" : "\"one" + std::string(k, '.') + "\"");
        text += std::string(k == 0 ? "" : " two ") + (is_null ? "" : "one" + std::string(k, '.'));
      }
      table += ", \"" + std::string(column) + "\": [" + turns + "]";
      row.push_back(text);
    }
    table += ", \"length\": " + number + ".5, \"rank\": -" + number +
             ", \"wins\": 0.25, \"loses\": " + (i == 3 ? "0.751" : "0.75") + "}\n";
  }
  return table;
}

TEST_F(Prepare, HoldsViewsFeaturesAndSharesOnAnyNumberOfRanks) {
  std::vector<std::vector<std::string>> texts;
  const fs::path table = write_table(conversations(texts), "talks.jsonl");
  config_.model.task = models::Task::kClassification;
  config_.data.texts = {"prompt", "left", "right"};
  config_.data.turns = data::Turns::kAll;
  config_.data.turn_joiner = "\\stwo\\s";
  config_.data.empty_text = EmptyText::kKeep;
  config_.data.features = {"length", "rank"};
  config_.data.targets = {"wins", "loses"};
  config_.data.classes = {"left", "right"};
  config_.data.group = "";

  const auto made = prepare(table);

  const auto& dataset = made.dataset;
  const auto tokenizer = data::load_tokenizer(config_.model.path);
  ASSERT_EQ(dataset.num_samples(), 12u);
  ASSERT_EQ(dataset.views_per_sample(), 3u);
  ASSERT_EQ(dataset.num_features(), 2u);
  EXPECT_EQ(made.class_names, config_.data.classes);
  for (std::uint32_t row = 0; row < 12; ++row) {
    for (std::uint32_t view = 0; view < 3; ++view) {
      std::vector<std::int32_t> ids(dataset.length(row * 3 + view));
      dataset.copy_tokens(row * 3 + view, ids.data());
      ASSERT_EQ(ids, data::encode_input(*tokenizer, texts[row][view], nullptr, {}).ids) << row << " " << view;
    }
    EXPECT_EQ(dataset.features(row)[0], static_cast<float>(row) + 0.5F);
    EXPECT_EQ(dataset.features(row)[1], -static_cast<float>(row));
    EXPECT_EQ(dataset.targets(row)[0], row == 3 ? static_cast<float>(0.25 / 1.001) : 0.25F);
  }
}

TEST_F(Prepare, MakesAnotherFileForOtherViews) {
  const fs::path table = write_table("id,text,other,a,doc\n1,one,two,1,x\n2,two,one,2,y\n");
  config_.data.targets = {"a"};
  const auto plain = prepare(table);
  config_.data.texts = {"text", "other"};
  const auto two = prepare(table);
  config_.data.templates = "{other} {}";
  const auto made = prepare(table);

  EXPECT_FALSE(two.from_cache || made.from_cache);
  EXPECT_EQ(plain.dataset.views_per_sample(), 1u);
  EXPECT_EQ(two.dataset.views_per_sample(), 2u);
  EXPECT_EQ(made.dataset.length(0), 4u) << "[CLS] two one [SEP]";
}

TEST_F(Prepare, NeedsOnlyIdAndTextOfATestTable) {
  const fs::path table = write_table("id,text\nq,one two\nr,three\n");

  const auto made = prepare(table, TableRole::kTest);

  EXPECT_EQ(made.dataset.num_samples(), 2u);
  EXPECT_EQ(made.dataset.num_targets(), 0u);
  EXPECT_FALSE(made.dataset.has_groups());
}

TEST_F(Prepare, NamesTheRowOfEveryFaultOnEveryRank) {
  const std::string header = "id,text,a,b,doc\n1,one,1,2,x\n2,\"two\ntwo\",1,2,x\n";

  EXPECT_CONTAINS(refusal_of("id,text,a,doc\n1,one,1,x\n"), "b");
  EXPECT_CONTAINS(refusal_of(header + "3, ,1,2,x\n"), "row 3 (line 5), column 'text': empty text");
  EXPECT_CONTAINS(refusal_of(header + "1,three,1,2,x\n"),
                  "row 3 (line 5), column 'id': the id '1' is already that of row 1");
  EXPECT_CONTAINS(refusal_of(header + ",three,1,2,x\n"), "row 3 (line 5), column 'id': empty id");
  EXPECT_CONTAINS(refusal_of(header + "3,three,1,1e,x\n"), "row 3 (line 5), column 'b'");
  EXPECT_CONTAINS(refusal_of(header + "3,three,,2,x\n"), "row 3 (line 5), column 'a'");
  EXPECT_CONTAINS(refusal_of(header + "3,three,1e200,2,x\n"), "row 3 (line 5), column 'a'");
  EXPECT_CONTAINS(refusal_of(header + "3,three,1,2,\n"), "row 3 (line 5), column 'doc': empty group");
  EXPECT_CONTAINS(refusal_of("id,text,a,b,doc\n"), "no rows");
  EXPECT_FALSE(fs::exists(directory_ / "run" / "data")) << "a refused table leaves nothing behind";
}

TEST_F(Prepare, KeepsEmptyTextWhenAskedTo) {
  config_.data.empty_text = EmptyText::kKeep;
  const fs::path table = write_table("id,text,a,b,doc\n1,one,1,2,x\n2,,1,2,x\n");

  const auto made = prepare(table);

  EXPECT_EQ(made.dataset.length(1), 2u);
}

TEST_F(Prepare, ReportsADirectoryThatCannotBeMade) {
  const fs::path table = write_table(small_table());
  if (rank() == 0) std::ofstream(directory_ / "run") << "in the way";
  world_->barrier();

  EXPECT_THROW(prepare(table), std::runtime_error);
}

}  // namespace
}  // namespace meshfold::jobs
