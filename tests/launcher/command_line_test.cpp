#include "launcher/command_line.hpp"

#include <gtest/gtest.h>

#include <map>
#include <variant>

#include "jobs/config/options.hpp"
#include "jobs/error.hpp"
#include "launcher/commands.hpp"

namespace meshfold::launcher {
namespace {

CommandLine parse(std::vector<const char*> words) {
  words.insert(words.begin(), "meshfold");
  return parse_command_line(static_cast<int>(words.size()), words.data());
}

std::string faults_of(const std::vector<const char*>& words) {
  try {
    parse(words);
  } catch (const jobs::ConfigError& error) {
    return error.what();
  }
  return "";
}

TEST(CommandLine, OptionsMayStandOnEitherSideOfTheCommand) {
  const auto line = parse({"--set", "a.b=-1", "--run=out", "cv", "--config", "x.ini", "--set", "c.d=e=f"});

  EXPECT_EQ(line.command, find_command("cv"));
  EXPECT_EQ(line.run_directory, "out");
  EXPECT_EQ(line.config_file, "x.ini");
  ASSERT_EQ(line.sets.size(), 2U);
  EXPECT_EQ(line.sets[0], (std::pair<std::string, std::string>("a.b", "-1")));
  EXPECT_EQ(line.sets[1], (std::pair<std::string, std::string>("c.d", "e=f")));
}

TEST(CommandLine, WordsOfACommandKeepTheirOrder) {
  const auto line = parse({"checkpoint", "verify", "runs/a"});

  EXPECT_EQ(line.words, (std::vector<std::string>{"verify", "runs/a"}));
}

TEST(CommandLine, DebugAndAcceptedChangesBelongToWhatTrains) {
  const auto line = parse({"train", "--debug", "--accept-changes", "a.b", "--accept-changes=c.d"});

  EXPECT_TRUE(line.debug);
  EXPECT_EQ(line.accepted_changes, (std::vector<std::string>{"a.b", "c.d"}));
  EXPECT_NE(faults_of({"predict", "--debug"}).find("predict does not take it"), std::string::npos);
}

TEST(CommandLine, EveryCommandHasAnExampleOfItself) {
  for (const Command& command : commands()) {
    EXPECT_TRUE((command.example + " ").starts_with(command.name + " ")) << command.name;
    EXPECT_NE(usage_of(command).find("Example:\n"), std::string::npos);
  }
}

TEST(CommandLine, EveryCommandOfTheOptionTableIsOneRowThatRuns) {
  std::map<std::string, int> rows;
  for (const Command& command : commands()) {
    if (const auto* alone = std::get_if<Command::Alone>(&command.run)) {
      EXPECT_TRUE(alone->run) << command.name;
    } else {
      const auto& on_ranks = std::get<Command::OnRanks>(command.run);
      EXPECT_TRUE(on_ranks.run) << command.name;
      EXPECT_EQ(command.name, jobs::word_of(on_ranks.name));
      ++rows[command.name];
    }
  }

  EXPECT_EQ(rows.size(), jobs::kCommandWords.size());
  for (const auto word : jobs::kCommandWords) EXPECT_EQ(rows[std::string(word)], 1) << word;
  for (const jobs::Option& option : jobs::option_table()) EXPECT_FALSE(option.commands.is_empty()) << option.key;
}

TEST(CommandLine, UnknownCommandsAndOptionsGetASuggestion) {
  EXPECT_NE(faults_of({"tran"}).find("did you mean 'train'?"), std::string::npos) << faults_of({"tran"});
  EXPECT_NE(faults_of({"cv", "--confg", "x"}).find("did you mean '--config'?"), std::string::npos);
}

TEST(CommandLine, NothingPassesUnnoticed) {
  EXPECT_FALSE(faults_of({}).empty());
  EXPECT_FALSE(faults_of({"cv", "extra"}).empty());
  EXPECT_FALSE(faults_of({"cv", "--set", "novalue"}).empty());
  EXPECT_FALSE(faults_of({"cv", "--run"}).empty());
  EXPECT_FALSE(faults_of({"cv", "--run", "a", "--run", "b"}).empty());
  EXPECT_NE(faults_of({"cx", "--set", "novalue"}).find("2 faults"), std::string::npos);
  EXPECT_EQ(faults_of({"--help"}), "");
}

}  // namespace
}  // namespace meshfold::launcher
