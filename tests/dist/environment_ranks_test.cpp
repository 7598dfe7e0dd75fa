#include "dist/environment.hpp"

#include <gtest/gtest.h>
#include <mpi.h>

#include <stdexcept>
#include <string>

#include "dist/communicator.hpp"
#include "dist/cpu.hpp"
#include "dist/error.hpp"
#include "dist/mpi_process_group.hpp"
#include "dist/process_group.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment;

TEST(EnvironmentRanks, KnowsThePlaceInTheWorldAndOnTheMachine) {
  const Environment& mpi = rank_environment();

  EXPECT_EQ(mpi.world()->rank(), mpi.rank());
  EXPECT_EQ(mpi.world()->size(), mpi.size());
  EXPECT_FALSE(mpi.host_name().empty());
  // These tests run on one machine.
  EXPECT_EQ(mpi.local_rank(), mpi.rank());
  EXPECT_EQ(mpi.local_size(), mpi.size());
}

TEST(CoresRanks, EveryRankLearnsTheMaskOfEveryOther) {
  const Environment& mpi = rank_environment();
  const auto group = make_mpi_process_group(mpi.world(), "cores");

  const auto ranks = gather_cores(*group, mpi.host_name() + " " + std::to_string(mpi.rank()));

  ASSERT_EQ(ranks.size(), static_cast<std::size_t>(mpi.size()));
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    EXPECT_EQ(ranks[rank].host, mpi.host_name() + " " + std::to_string(rank));
    EXPECT_EQ(ranks[rank].cores, usable_cores());  // the tests are started unbound
  }
}

TEST(EnvironmentRanks, ReturnsMpiErrorsAsExceptionsThatNameTheCall) {
  const Environment& mpi = rank_environment();
  char byte = 0;
  try {
    check_mpi(MPI_Send(&byte, 1, MPI_BYTE, mpi.size() + 5, 0, mpi.world()->handle()), "MPI_Send");
    FAIL() << "a send to a rank that does not exist was accepted";
  } catch (const MpiError& error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("MPI_Send failed on rank " + std::to_string(mpi.rank())), std::string::npos) << message;
    EXPECT_NE(message.find("MPI_ERR_RANK"), std::string::npos) << message;
    EXPECT_NE(message.find("environment_ranks_test.cpp:"), std::string::npos) << message;
  }
}

TEST(CommunicatorRanks, RefuseToMakeAGroupForARankOutsideIt) {
  const auto world = rank_environment().world();
  const int other[] = {(world->rank() + 1) % world->size()};
  if (world->size() == 1) GTEST_SKIP() << "needs another rank";

  EXPECT_THROW(world->create_group(other, 0, "others"), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::dist
