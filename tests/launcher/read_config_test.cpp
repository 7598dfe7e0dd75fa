#include "launcher/read_config.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <variant>

#include "jobs/config/config_draft.hpp"
#include "jobs/error.hpp"
#include "launcher/commands.hpp"

namespace meshfold::launcher {
namespace {

namespace fs = std::filesystem;

/// A directory with a table, a model directory and room for INI files.
class ReadConfig : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::temp_directory_path() / ("meshfold-read-config-" + std::to_string(getpid()));
    fs::create_directories(root_ / "model");
    write("model/config.json", "{}");
    write("train.csv", "id,text,mean\n");
  }
  void TearDown() override { fs::remove_all(root_); }

  std::string path(const std::string& name) const { return (root_ / name).string(); }
  void write(const std::string& name, const std::string& contents) const { std::ofstream(root_ / name) << contents; }

  CommandLine line(const std::string& command, std::vector<std::pair<std::string, std::string>> sets) const {
    CommandLine result;
    result.command = find_command(command);
    result.run_directory = path("run");
    result.sets = std::move(sets);
    return result;
  }
  /// A cv command line without faults, and more sets behind.
  CommandLine good(std::vector<std::pair<std::string, std::string>> more = {}) const {
    auto result =
        line("cv", {{"data.train", path("train.csv")}, {"data.targets", "mean"}, {"model.path", path("model")}});
    result.sets.insert(result.sets.end(), more.begin(), more.end());
    return result;
  }
  static jobs::RunConfig read_config(const CommandLine& command_line, int ranks) {
    return launcher::read_config(command_line, {std::get<Command::OnRanks>(command_line.command->run).name, ranks});
  }
  std::string faults_of(const CommandLine& command_line, int ranks = 4) const {
    try {
      read_config(command_line, ranks);
    } catch (const jobs::ConfigError& error) {
      return error.what();
    }
    return "";
  }

  fs::path root_;
};

void expect_has(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is missing in:\n" << text;
}

TEST_F(ReadConfig, SetWinsOverTheFileAndTheFileOverDefaults) {
  write("a.ini", "[training]\nepochs = 5\nbatch_size = 8\n");
  auto command_line = good({{"training.epochs", "7"}, {"training.epochs", "9"}});
  command_line.config_file = path("a.ini");

  const auto config = read_config(command_line, 1);

  EXPECT_EQ(config.training.epochs, 9);
  EXPECT_EQ(config.training.batch_size, 8);
  EXPECT_EQ(config.training.max_steps, jobs::RunConfig{}.training.max_steps);
  EXPECT_EQ(config.hash.size(), 32U);
}

TEST_F(ReadConfig, AllFaultsComeAtOnceWithTheirPlaces) {
  write("a.ini", "[training]\nepoch = 5\nbatch_size = none\n[optim]\nlearning_rate = 1\n[training]\nbatch_size = 3\n");
  auto command_line = line("cv", {{"cv.folds", "1"}, {"data.train", path("absent.csv")}});
  command_line.config_file = path("a.ini");

  const std::string faults = faults_of(command_line);

  expect_has(faults, "a.ini:2: unknown key 'training.epoch'; did you mean 'training.epochs'?");
  expect_has(faults, "a.ini:3: training.batch_size = 'none': expects an integer of at least 1");
  expect_has(faults, "a.ini:5: unknown key 'optim.learning_rate'; did you mean 'optimizer.learning_rate'?");
  expect_has(faults, "a.ini:7: training.batch_size was already set at");
  expect_has(faults, "--set: cv.folds = '1': expects an integer from 2 to 1000");
  expect_has(faults, "--set: data.train = '" + path("absent.csv") + "': there is no such file");
  expect_has(faults, "data.targets is not set");
  expect_has(faults, "model.path is not set");
  expect_has(faults, "8 faults");
}

TEST_F(ReadConfig, TrainTokenizerAsksForItsTableAloneOfAConfigThatIsForTraining) {
  const auto sets = [&](const char* table) {
    return std::vector<std::pair<std::string, std::string>>{
        {"data.train", path(table)}, {"data.test", path("later.csv")}, {"model.path", path("later")}};
  };
  EXPECT_EQ(faults_of(line("train-tokenizer", sets("train.csv"))), "");
  const std::string faults = faults_of(line("train-tokenizer", sets("missing.csv")));
  expect_has(faults, "missing.csv': there is no such file");
  EXPECT_EQ(faults.find("later"), std::string::npos) << faults;
  expect_has(faults_of(line("tokenize", sets("train.csv"))), "later': there is no config.json in it");
}

TEST_F(ReadConfig, ContradictionsAreNamed) {
  expect_has(faults_of(good({{"cv.strategy", "group"}})), "cv.strategy by groups needs data.group");
  expect_has(faults_of(good({{"cv.strategy", "column"}})), "cv.strategy = column needs data.fold");
  expect_has(faults_of(good({{"loss.kind", "cross_entropy"}})), "needs model.task = classification");
  expect_has(faults_of(good({{"model.task", "classification"}, {"data.targets", "a,b"}, {"data.classes", "x,y,z"}})),
             "data.classes names 3 classes, but data.targets names 2 columns");
  expect_has(faults_of(good({{"data.classes", "x,y"}})), "is for model.task = classification");
  expect_has(faults_of(good({{"data.texts", "a,b"}, {"data.text", "c"}})), "data.text and data.texts are both given");
  expect_has(faults_of(good({{"data.texts", "a,b"}, {"data.templates", "{} | {a} | {b}"}})),
             "one template for all views or one a view; there are 3 for 2 columns");
  expect_has(faults_of(good({{"data.templates", "{a"}})), "data.templates = '{a': expects a closing }");
  expect_has(faults_of(good({{"data.templates", "{mean}"}})), "'mean', which is a text column");
  expect_has(faults_of(good({{"data.features", "mean"}})), "the model would read its answer");
  expect_has(faults_of(good({{"data.turn_columns", "text"}})), "needs data.turns");
  expect_has(faults_of(good({{"data.turns", "all"}, {"data.turn_columns", "txt"}})), "of which no text is made");
  expect_has(faults_of(good({{"model.task", "classification"}, {"loss.kind", "mse"}})), "must be cross_entropy");
  expect_has(faults_of(good({{"model.task", "multi_label"}, {"loss.kind", "mse"}})), "must be bce");
  expect_has(faults_of(good({{"loss.kind", "bce"}})), "needs model.task = multi_label");
  expect_has(faults_of(good({{"cv.metric", "log_loss"}})), "is no metric of this model.task");
  expect_has(faults_of(good({{"loss.class_weights", "1,2"}})), "does not go with this model.task");
  expect_has(faults_of(good({{"loss.target_weights", "1,2,3,4"}})), "has 4 values, but data.targets names");
  expect_has(faults_of(good({{"training.deterministic", "true"}, {"training.parts", "6"}})), "needs a power of two");
  expect_has(faults_of(good({{"cv.clip_min", "2"}, {"cv.clip_max", "1"}})), "is above cv.clip_max");
  expect_has(faults_of(good({{"cv.groups", "3"}}), 2), "is above 2");
  expect_has(faults_of(good({{"mesh.data", "3"}}), 2), "there are 2 ranks");
  expect_has(faults_of(good({{"mesh.pipeline", "2"}, {"pipeline.stages", "1,2,3"}})), "has 3 values");
  expect_has(faults_of(good({{"model.pooling_first_layer", "2"}})), "is for model.pooling = weighted_layers");
  expect_has(faults_of(good({{"model.pooling_layers", "2"}, {"model.pooling", "mean"}})),
             "is for model.pooling = concat_cls, which is mean");
  EXPECT_EQ(faults_of(good({{"model.pooling_layers", "2"}, {"model.pooling", "concat_cls"}})), "");
  expect_has(faults_of(good({{"data.targets", "mean,mean"}})), "names 'mean' twice");
  EXPECT_EQ(faults_of(good()), "");
}

TEST_F(ReadConfig, TruncationHasWhatItNeedsAndNothingElse) {
  using Sets = std::vector<std::pair<std::string, std::string>>;
  const Sets head_tail = {{"tokenizer.truncation", "head_tail"}, {"tokenizer.max_length", "64"}};
  const auto with_head = [&](const char* tokens) {
    Sets sets = head_tail;
    sets.emplace_back("tokenizer.head_tokens", tokens);
    return sets;
  };

  expect_has(faults_of(good({{"tokenizer.truncation", "only_second"}})), "= only_second needs data.text_pair");
  expect_has(faults_of(good(head_tail)), "tokenizer.head_tokens is not set");
  expect_has(faults_of(good(with_head("64"))),
             "tokenizer.head_tokens = 64 leaves nothing of tokenizer.max_length = 64");
  expect_has(faults_of(good(with_head("0"))), "expects an integer of at least 1");
  expect_has(faults_of(good({{"tokenizer.head_tokens", "9"}})), "is for tokenizer.truncation = head_tail");
  expect_has(faults_of(good({{"tokenizer.truncation", "middle"}})), "one of longest_first | only_second | head_tail");
  expect_has(
      faults_of(line("train-tokenizer", {{"data.train", path("train.csv")}, {"tokenizer.truncation", "head_tail"}})),
      "has no meaning for train-tokenizer");
  EXPECT_EQ(faults_of(good({{"tokenizer.truncation", "only_second"}, {"data.text_pair", "more"}})), "");
  const auto config = read_config(good(with_head("63")), 1);
  EXPECT_EQ(config.tokenizer.truncation, data::Truncation::Kind::kHeadTail);
  EXPECT_EQ(config.tokenizer.head_tokens, 63);
}

TEST_F(ReadConfig, ATokenizerIsTrainedByAConfigFileThatCutsTexts) {
  write("a.ini", "[data]\ntrain = " + path("train.csv") + "\n[tokenizer]\ntruncation = head_tail\nhead_tokens = 8\n");
  auto command_line = line("train-tokenizer", {});
  command_line.config_file = path("a.ini");

  EXPECT_EQ(faults_of(command_line), "");
}

TEST_F(ReadConfig, ClassificationBringsItsLoss) {
  const auto config = read_config(good({{"model.task", "classification"}}), 1);

  EXPECT_EQ(config.loss.kind, models::LossKind::kCrossEntropy);
  EXPECT_EQ(config.cv.metric.name, "log_loss");
  EXPECT_EQ(read_config(good({{"model.task", "multi_label"}}), 1).loss.kind, models::LossKind::kBinaryCrossEntropy);
}

TEST_F(ReadConfig, ARunDirectoryContinuesWithItsOwnConfig) {
  fs::create_directories(root_ / "run");
  const auto first = read_config(good({{"training.epochs", "4"}}), 1);
  write("run/config.ini", first.ini_text);

  const auto second = read_config(line("cv", {}), 1);

  EXPECT_EQ(second.training.epochs, 4);
  EXPECT_EQ(second.hash, first.hash);

  const auto views = read_config(good({{"data.texts", "a,b"}}), 1);
  write("run/config.ini", views.ini_text);
  EXPECT_EQ(read_config(line("cv", {}), 1).data.texts, views.data.texts);
}

TEST_F(ReadConfig, AKeptConfigWithWarmupStepsContinues) {
  fs::create_directories(root_ / "run");
  const auto first = read_config(good({{"schedule.warmup_steps", "5"}}), 1);
  write("run/config.ini", first.ini_text);

  EXPECT_EQ(read_config(line("cv", {}), 1).hash, first.hash);
  expect_has(faults_of(good({{"schedule.warmup_steps", "5"}, {"schedule.warmup_ratio", "0.5"}})), "are both given");
}

TEST_F(ReadConfig, OnlyWhatWritesThereNeedsARunDirectory) {
  CommandLine without = good();
  without.run_directory.clear();
  CommandLine selftest = line("selftest", {});
  selftest.run_directory.clear();

  expect_has(faults_of(without), "--run DIR is not given");
  EXPECT_EQ(faults_of(selftest), "");
  EXPECT_NO_THROW(launcher::read_config(without, {jobs::CommandName::kCv, 1}, RunDirectory::kOptional));
}

TEST_F(ReadConfig, DebugGoesBeforeTheFileAndSetBeforeDebug) {
  write("a.ini", "[training]\nepochs = 9\nbatch_size = 8\n[schedule]\nkind = table\ntable = 1,0.5,0.25\n");
  auto command_line = good({{"cv.folds", "3"}});
  command_line.config_file = path("a.ini");
  command_line.debug = true;

  const auto config = read_config(command_line, 1);

  EXPECT_EQ(config.data.sample_rows, 100);
  EXPECT_EQ(config.training.epochs, 2);
  EXPECT_EQ(config.training.batch_size, 8);
  EXPECT_EQ(config.schedule.table, (std::vector<double>{1, 0.5}));
  EXPECT_EQ(config.cv.folds, 3);
  EXPECT_EQ(jobs::from_text(jobs::to_text(config)).data.sample_rows, 100);
}

TEST_F(ReadConfig, DebugLeavesTheFoldsOfAColumn) {
  auto command_line = good();
  command_line.debug = true;
  EXPECT_EQ(read_config(command_line, 1).cv.folds, 2);
  command_line.sets.insert(command_line.sets.end(), {{"cv.strategy", "column"}, {"data.fold", "fold"}});

  EXPECT_EQ(read_config(command_line, 1).cv.folds, jobs::RunConfig{}.cv.folds);
}

TEST_F(ReadConfig, AcceptedChangesNameOptions) {
  auto command_line = good();
  command_line.accepted_changes = {"training.epoch"};

  expect_has(faults_of(command_line),
             "--accept-changes: unknown key 'training.epoch'; did you mean 'training.epochs'?");
}

TEST_F(ReadConfig, OnlyDataAndTrainingOptionsChangeTheHash) {
  const auto base = read_config(good(), 1);

  EXPECT_EQ(read_config(good({{"log.every_steps", "3"}, {"run.threads", "2"}}), 1).hash, base.hash);
  EXPECT_NE(read_config(good({{"run.seed", "7"}}), 1).hash, base.hash);
  EXPECT_NE(read_config(good({{"tokenizer.max_length", "64"}}), 1).hash, base.hash);
}

}  // namespace
}  // namespace meshfold::launcher
