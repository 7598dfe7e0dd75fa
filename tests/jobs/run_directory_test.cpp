#include "jobs/config/run_directory.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

class RunDirectory : public testing::Test {
 protected:
  void SetUp() override { run_ = fs::temp_directory_path() / ("meshfold-run-directory-" + std::to_string(getpid())); }
  void TearDown() override { fs::remove_all(run_); }
  RunConfig config() const {
    RunConfig config;
    config.run.directory = run_.string();
    config.data.train = "a.csv";
    return config;
  }
  void begin_training() const { std::ofstream(run_ / "metrics.jsonl"); }
  std::string contents(const char* name) const {
    std::ostringstream text;
    text << std::ifstream(run_ / name).rdbuf();
    return text.str();
  }
  fs::path run_;
};

TEST_F(RunDirectory, KeepsItsIdWhenItContinues) {
  open_run_directory(config(), {});
  const auto first = nlohmann::json::parse(contents("run.json"));
  open_run_directory(config(), {});

  EXPECT_EQ(nlohmann::json::parse(contents("run.json")), first);
  EXPECT_EQ(first["config_hash"], config_hash(config()));
  EXPECT_EQ(contents("config.ini"), to_ini(config()));
  EXPECT_TRUE(contents("config.ini").starts_with("[run]\nseed = 42\ndevice = auto\n"));
  EXPECT_NE(contents("config.ini").find("\n\n[data]\ntrain = a.csv\ntest =\n"), std::string::npos);
}

TEST_F(RunDirectory, RefusesChangedDataAndTrainingOptionsWithTheListOnceTrainingHasBegun) {
  open_run_directory(config(), {});
  begin_training();
  RunConfig changed = config();
  changed.run.seed = 7;
  changed.data.train = "b.csv";

  try {
    open_run_directory(changed, {});
    FAIL() << "was accepted";
  } catch (const ConfigError& error) {
    const std::string what = error.what();
    EXPECT_NE(what.find("run.seed"), std::string::npos) << what;
    EXPECT_NE(what.find("\"42\", now it is \"7\""), std::string::npos) << what;
    EXPECT_NE(what.find("data.train"), std::string::npos) << what;
    EXPECT_EQ(what.find("run.threads"), std::string::npos) << what;
  }
  EXPECT_NE(contents("config.ini").find("seed = 42"), std::string::npos) << "a refused start must not write";
}

TEST_F(RunDirectory, KeepsItsHashThroughAcceptedChangesAndNotesThem) {
  const std::string hash = open_run_directory(config(), {});
  begin_training();
  RunConfig changed = config();
  changed.run.seed = 7;

  EXPECT_EQ(open_run_directory(changed, {"run.seed", "data.train"}), hash);
  EXPECT_EQ(open_run_directory(changed, {}), hash) << "what was accepted is the run's own now";
  EXPECT_THROW(open_run_directory(config(), {"data.train"}), ConfigError);

  const auto run = nlohmann::json::parse(contents("run.json"));
  ASSERT_EQ(run["accepted_changes"].size(), 1U);
  EXPECT_EQ(run["accepted_changes"][0]["key"], "run.seed");
  EXPECT_EQ(run["accepted_changes"][0]["before"], "\"42\"");
  EXPECT_EQ(run["accepted_changes"][0]["now"], "\"7\"");
  EXPECT_EQ(run["config_hash"], hash);
  EXPECT_NE(contents("config.ini").find("seed = 7"), std::string::npos);
}

TEST_F(RunDirectory, TakesAnOptionThatDidNotExistWhenTheRunBeganForItsDefault) {
  const std::string hash = open_run_directory(config(), {});
  begin_training();
  auto run = nlohmann::ordered_json::parse(contents("run.json"));
  ASSERT_EQ(run["options"].erase("tokenizer.truncation"), 1U);
  run["config_hash"] = "that of fewer options";
  std::ofstream(run_ / "run.json") << run.dump();
  RunConfig changed = config();
  changed.tokenizer.truncation = data::Truncation::Kind::kOnlySecond;

  EXPECT_THROW(open_run_directory(changed, {}), ConfigError);
  EXPECT_EQ(open_run_directory(config(), {}), "that of fewer options");
  EXPECT_NE(hash, "that of fewer options");
}

TEST_F(RunDirectory, TakesAnyChangeAfterAStartThatWasRefusedInItsPreparation) {
  open_run_directory(config(), {});
  for (const char* name : {"logs", "data"}) fs::create_directories(run_ / name);
  std::ofstream(run_ / "state.json");
  RunConfig changed = config();
  changed.run.seed = 7;

  EXPECT_EQ(open_run_directory(changed, {}), config_hash(changed));

  EXPECT_FALSE(nlohmann::json::parse(contents("run.json")).contains("accepted_changes"));
  EXPECT_NE(contents("config.ini").find("seed = 7"), std::string::npos);
}

TEST_F(RunDirectory, TakesChangedLayoutOptions) {
  open_run_directory(config(), {});
  begin_training();
  RunConfig changed = config();
  changed.run.threads = 8;

  open_run_directory(changed, {});

  EXPECT_NE(contents("config.ini").find("threads = 8"), std::string::npos);
  EXPECT_EQ(config_hash(changed), config_hash(config()));
}

TEST_F(RunDirectory, RefusesARunJsonOfAnotherProgram) {
  fs::create_directories(run_);
  std::ofstream(run_ / "run.json") << "{\"format\": 1";

  EXPECT_THROW(open_run_directory(config(), {}), ConfigError);
}

}  // namespace
}  // namespace meshfold::jobs
