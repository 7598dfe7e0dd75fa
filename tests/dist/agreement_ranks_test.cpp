#include "dist/agreement.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>

#include "dist/communicator.hpp"
#include "dist/error.hpp"
#include "dist/mpi_process_group.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment;

std::unique_ptr<ProcessGroup> world() { return make_mpi_process_group(rank_environment().world(), "world"); }

/// What agree() ended with on this rank.
struct Outcome {
  bool own = false;  ///< its own exception came back
  int failed_rank = -1, exit_code = 0;
  std::string message;
};

Outcome agree_outcome(ProcessGroup& group, const std::function<void()>& risk) {
  try {
    agree(group, "open the dataset", risk);
  } catch (const PeerFailed& error) {
    return {false, error.rank(), error.exit_code(), error.what()};
  } catch (const std::exception& error) {
    return {true, group.rank(), 0, error.what()};
  }
  return {};
}

class ExitCodeTable {
 public:
  explicit ExitCodeTable(ExitCodeOf table) { set_exit_code_table(table); }
  ~ExitCodeTable() { set_exit_code_table(nullptr); }
};

TEST(AgreeRanks, LetsAllPassWhenAllSucceed) {
  const auto group = world();

  EXPECT_EQ(agree_outcome(*group, [] {}).failed_rank, -1);
}

using AgreeOnSeveralRanks = tests::AtLeastRanksTest<2>;

TEST_F(AgreeOnSeveralRanks, BringsTheFailingRanksMessageAndExitCodeToAll) {
  const auto group = world();
  const ExitCodeTable table([](const std::exception& e) { return dynamic_cast<const std::out_of_range*>(&e) ? 3 : 9; });
  for (int failing = 0; failing < group->size(); ++failing) {
    const Outcome outcome = agree_outcome(*group, [&] {
      if (group->rank() == failing) throw std::out_of_range("train.csv row 12: no text");
    });

    EXPECT_EQ(outcome.own, group->rank() == failing);
    EXPECT_EQ(outcome.failed_rank, failing);
    if (!outcome.own) {
      EXPECT_EQ(outcome.exit_code, 3);
      EXPECT_EQ(outcome.message,
                "rank " + std::to_string(failing) + " could not open the dataset: train.csv row 12: no text");
    } else {
      EXPECT_EQ(outcome.message, "train.csv row 12: no text");
    }
  }
}

TEST_F(AgreeOnSeveralRanks, NamesTheLowestOfSeveralFailingRanks) {
  const auto group = world();

  const Outcome outcome = agree_outcome(*group, [&] {
    if (group->rank() > 0) throw std::runtime_error("I am " + std::to_string(group->rank()));
  });

  if (group->rank() == 0) {
    EXPECT_EQ(outcome.failed_rank, 1);
    EXPECT_NE(outcome.message.find("I am 1"), std::string::npos) << outcome.message;
  } else {
    EXPECT_TRUE(outcome.own);
  }
}

TEST_F(AgreeOnSeveralRanks, PassesThePeersExitCodeOnThroughANestedAgreement) {
  const auto group = world();
  const ExitCodeTable table([](const std::exception&) { return 1; });

  const Outcome outcome = agree_outcome(*group, [&] {
    if (group->rank() == 1) throw PeerFailed(7, 5, "rank 7 could not write: disk full");
  });

  EXPECT_EQ(outcome.exit_code, 5);
}

}  // namespace
}  // namespace meshfold::dist
