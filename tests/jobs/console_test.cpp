#include "jobs/console.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace meshfold::jobs {
namespace {

/// What a console wrote to a stream of its own.
class ConsoleTest : public testing::Test {
 protected:
  void SetUp() override { stream_ = std::tmpfile(); }
  void TearDown() override { std::fclose(stream_); }
  std::string written() const {
    std::fflush(stream_);
    std::rewind(stream_);
    std::string text;
    for (int c; (c = std::fgetc(stream_)) != EOF;) text += static_cast<char>(c);
    return text;
  }
  std::FILE* stream_ = nullptr;
};

TEST_F(ConsoleTest, PlainProgressIsWholeLinesAndRare) {
  Console console(0, stream_, Console::Style::kPlain);
  for (int i = 0; i < 100; ++i) console.progress("step " + std::to_string(i));
  console.say("done");

  EXPECT_EQ(written(), "step 0\ndone\n");
}

TEST_F(ConsoleTest, ATerminalLineIsClearedBeforeTheNextIsSaid) {
  {
    Console console(0, stream_, Console::Style::kTerminal);
    console.progress("step 1");
    console.say("done");
  }

  EXPECT_EQ(written(), "\r\033[Kstep 1\r\033[Kdone\n");
}

TEST_F(ConsoleTest, OtherRanksAreSilent) {
  Console console(1, stream_, Console::Style::kPlain);
  console.say("a");
  console.warn("b");
  console.progress("c");
  console.table("t", {{"d", "e"}});

  EXPECT_EQ(written(), "");
}

TEST_F(ConsoleTest, GridsAlignFiguresRightAndCountCharactersNotBytes) {
  Console console(0, stream_, Console::Style::kPlain);
  console.grid({"name", "score"}, {{"\xC3\xA4", "1.5"}, {"long name", "10.25"}});

  EXPECT_EQ(written(), "  name       score\n  ---------  -----\n  \xC3\xA4            1.5\n  long name  10.25\n");
}

TEST_F(ConsoleTest, FactsOnATerminalGoOnBelowTheirOwnBeginning) {
  setenv("COLUMNS", "32", 1);  // a file has no width of its own
  Console terminal(0, stream_, Console::Style::kTerminal);
  terminal.table("facts", {{"a", "one two three four five six seven"}, {"long", "averyveryveryverylongword is whole"}});
  unsetenv("COLUMNS");

  EXPECT_EQ(written(),
            "facts\n  a     one two three four five\n        six seven\n"
            "  long  averyveryveryverylongword\n        is whole\n");
}

TEST_F(ConsoleTest, FactsInAFileAreOneLineEach) {
  Console plain(0, stream_, Console::Style::kPlain);
  plain.table("facts", {{"a", std::string(50, 'x') + " " + std::string(500, 'y')}});

  EXPECT_EQ(written(), "facts\n  a  " + std::string(50, 'x') + " " + std::string(500, 'y') + "\n");
}

TEST_F(ConsoleTest, TheLogHoldsWhatWasSaidBeforeItWasOpen) {
  const auto run = std::filesystem::temp_directory_path() / ("meshfold-console-" + std::to_string(getpid()));
  Console console(3, stream_, Console::Style::kPlain);
  console.log("early");
  console.open_log(run.string());
  console.log("late");

  std::ostringstream log;
  log << std::ifstream(run / "logs" / "rank-0003.log").rdbuf();
  std::filesystem::remove_all(run);
  EXPECT_NE(log.str().find("Z early\n"), std::string::npos) << log.str();
  EXPECT_LT(log.str().find("early"), log.str().find("late"));
}

}  // namespace
}  // namespace meshfold::jobs
