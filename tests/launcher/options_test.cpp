#include "jobs/config/options.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <sstream>
#include <stdexcept>

#include "base/instruction_set.hpp"
#include "jobs/config/config_draft.hpp"
#include "jobs/config/ini_file.hpp"
#include "jobs/config/run_directory.hpp"
#include "launcher/commands.hpp"

namespace meshfold::launcher {
namespace {

/// A config in which every option differs from its default.
jobs::RunConfig everything_changed() {
  jobs::RunConfig config;
  for (const jobs::Option& option : jobs::option_table()) {
    const std::string before = option.text(config);
    // What fits some option: one candidate of each type, taken in turn until the text changes.
    for (const char* candidate : {" a # b \"c\\ ", "7",        "0.25",
                                  "true",          "mean",     "memory",
                                  "smooth_l1",     "constant", "classification",
                                  "last",          "group",    "bf16",
                                  "logits",        "keep",     "min",
                                  "false",         "1",        "decoder",
                                  "bpe",           "sgd",      "layers",
                                  "gpipe",         "cuda",     "weight -> tensor",
                                  "head_tail"}) {
      try {
        option.set(config, candidate);
      } catch (const std::invalid_argument&) {
        continue;
      }
      if (option.text(config) != before) break;
    }
    EXPECT_NE(option.text(config), before) << option.key << " has no value that a test can set";
  }
  return config;
}

TEST(Options, EveryOptionIsReachableDescribedAndUnique) {
  std::set<std::string> keys;

  for (const jobs::Option& option : jobs::option_table()) {
    EXPECT_TRUE(keys.insert(option.key).second) << option.key;
    EXPECT_EQ(jobs::find_option(option.key), &option);
    EXPECT_FALSE(option.help.empty()) << option.key;
    EXPECT_FALSE(option.type.empty()) << option.key;
    EXPECT_NE(jobs::options_as_markdown().find("`" + option.key + "`"), std::string::npos) << option.key;
    std::string all_help;
    for (const Command& command : commands()) all_help += jobs::help_of(command.options());
    EXPECT_NE(all_help.find("  " + option.key + "  ("), std::string::npos) << option.key;
  }

  EXPECT_GT(keys.size(), 50U);
}

TEST(Options, ThePageInDocsIsTheTable) {
  std::ostringstream page;
  page << std::ifstream(MESHFOLD_OPTIONS_PAGE).rdbuf();

  EXPECT_TRUE(page.str() == jobs::options_as_markdown()) << "write it anew: meshfold options > docs/options.md";
}

TEST(Options, DefaultsAreAcceptedByTheirOwnParsers) {
  for (const jobs::Option& option : jobs::option_table()) {
    jobs::RunConfig config;
    EXPECT_NO_THROW(option.set(config, option.default_text())) << option.key << " = " << option.default_text();
    EXPECT_EQ(option.text(config), option.default_text()) << option.key;
  }
}

TEST(Options, AConfigSurvivesBeingWrittenAndReadAgain) {
  const jobs::RunConfig config = everything_changed();
  std::vector<std::string> faults;

  jobs::RunConfig again;
  for (const jobs::Setting& setting : jobs::parse_ini(jobs::to_ini(config), "config.ini", faults)) {
    ASSERT_NE(jobs::find_option(setting.key), nullptr) << setting.key;
    jobs::find_option(setting.key)->set(again, setting.value);
  }

  EXPECT_TRUE(faults.empty()) << faults.front();
  for (const jobs::Option& option : jobs::option_table())
    EXPECT_EQ(option.text(again), option.text(config)) << option.key;
}

TEST(Options, TheTextSentToOtherRanksGivesTheSameConfig) {
  jobs::RunConfig config = everything_changed();
  config.run.directory = "runs/a b";
  config.ini_text = jobs::to_ini(config);
  config.hash = jobs::config_hash(config);

  const jobs::RunConfig there = jobs::from_text(jobs::to_text(config));

  EXPECT_EQ(there.run.directory, "runs/a b");
  EXPECT_EQ(there.ini_text, config.ini_text);
  EXPECT_EQ(there.hash, config.hash);
}

TEST(Options, AutoPrecisionIsResolvedAsTheCpuSays) {
  jobs::RunConfig config;

  jobs::find_option("precision.compute")->set(config, "auto");

  EXPECT_EQ(config.precision == jobs::Precision::kBf16, base::multiplies_bf16_faster());
  EXPECT_NE(jobs::find_option("precision.compute")->text(config), "auto");
}

TEST(Options, ValuesOutOfRangeAreRefusedInWords) {
  jobs::RunConfig config;
  const auto message = [&](const char* key, const char* value) -> std::string {
    try {
      jobs::find_option(key)->set(config, value);
    } catch (const std::invalid_argument& expected) {
      return expected.what();
    }
    return "accepted";
  };

  EXPECT_EQ(message("training.epochs", "0"), "an integer of at least 1");
  EXPECT_EQ(message("training.epochs", "3 epochs"), "an integer of at least 1");
  EXPECT_EQ(message("schedule.warmup_ratio", "1.5"), "a number from 0 to 1");
  EXPECT_EQ(message("optimizer.learning_rate", "nan"), "a number above 0");
  EXPECT_EQ(message("model.head_dropout", "1"), "a number from 0 to below 1, or none");
  EXPECT_EQ(message("training.batch_size", "99999999999"), "an integer from 1 to 2147483647");
  EXPECT_EQ(message("loss.kind", "l3"),
            "one of mse | mae | smooth_l1 | rmse | mcrmse | rmse_elementwise | cross_entropy | bce");
  EXPECT_EQ(message("training.deterministic", "maybe"), "true or false");
  EXPECT_EQ(message("data.targets", "a,,b"), "names with single commas between them");
}

TEST(IniFile, FaultsNameTheirLine) {
  std::vector<std::string> faults;

  const auto entries =
      jobs::parse_ini("\n[a]\nx = 1 # one\nnonsense\ny = \" b # \\\"q\\\" \"\nz = \"open\n[c\n", "f.ini", faults);

  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].key, "a.x");
  EXPECT_EQ(entries[0].value, "1");
  EXPECT_EQ(entries[0].place, "f.ini:3");
  EXPECT_EQ(entries[1].value, " b # \"q\" ");
  ASSERT_EQ(faults.size(), 3U);
  EXPECT_TRUE(faults[0].starts_with("f.ini:4:"));
  EXPECT_TRUE(faults[1].starts_with("f.ini:6:"));
  EXPECT_TRUE(faults[2].starts_with("f.ini:7:"));
}

}  // namespace
}  // namespace meshfold::launcher
