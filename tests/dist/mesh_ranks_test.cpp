#include "dist/mesh.hpp"

#include <gtest/gtest.h>

#include <stdexcept>

#include "dist/communicator.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::dist {
namespace {

using tests::rank_environment;

/// The world ranks of a group's members, in group order, as its members themselves report them.
std::string members(ProcessGroup& group) {
  std::string text;
  for (const std::string& rank : group.all_gather_bytes(std::to_string(rank_environment().rank()))) text += rank + " ";
  return text;
}

std::string coordinates(const Mesh& mesh) {
  const MeshCoordinates& at = mesh.coordinates();
  return std::to_string(at.data) + std::to_string(at.pipeline) + std::to_string(at.tensor);
}

TEST(MeshRanks, OfAllRanksOnTheDataAxisHasOneGroupOfThem) {
  const int size = rank_environment().size();
  std::string everyone;
  for (int r = 0; r < size; ++r) everyone += std::to_string(r) + " ";

  const Mesh mesh(rank_environment().world(), {size, 1, 1}, "train");

  EXPECT_EQ(mesh.coordinates().data, rank_environment().rank());
  EXPECT_EQ(members(mesh.all()), everyone);
  EXPECT_EQ(members(mesh.data()), everyone);
  EXPECT_EQ(mesh.pipeline().size(), 1);
  EXPECT_EQ(mesh.tensor().size(), 1);
}

TEST(MeshRanks, RefusesAShapeWhoseProductIsNotTheNumberOfRanks) {
  const int size = rank_environment().size();

  EXPECT_THROW(Mesh(rank_environment().world(), {size + 1, 1, 1}, "train"), std::invalid_argument);
  EXPECT_THROW(Mesh(rank_environment().world(), {-size, -1, 1}, "train"), std::invalid_argument);
}

using MeshOnTwoRanks = tests::RanksTest<2>;

TEST_F(MeshOnTwoRanks, PutsBothRanksOnTheAxisThatTheShapeNames) {
  const auto world = rank_environment().world();
  const std::string self = std::to_string(world->rank()) + " ";

  const Mesh data(world, {2, 1, 1}, "a"), pipeline(world, {1, 2, 1}, "b"), tensor(world, {1, 1, 2}, "c");

  EXPECT_EQ(coordinates(data), world->rank() == 0 ? "000" : "100");
  EXPECT_EQ(coordinates(pipeline), world->rank() == 0 ? "000" : "010");
  EXPECT_EQ(coordinates(tensor), world->rank() == 0 ? "000" : "001");
  EXPECT_EQ(members(data.data()), "0 1 ");
  EXPECT_EQ(members(data.tensor()), self);
  EXPECT_EQ(members(pipeline.pipeline()), "0 1 ");
  EXPECT_EQ(members(pipeline.data()), self);
  EXPECT_EQ(members(tensor.tensor()), "0 1 ");
  EXPECT_EQ(members(tensor.pipeline()), self);
}

using MeshOnFourRanks = tests::RanksTest<4>;

TEST_F(MeshOnFourRanks, MakesTheTensorAxisTheFastest) {
  const int rank = rank_environment().rank();

  const Mesh mesh(rank_environment().world(), {2, 1, 2}, "fold-1");

  const std::string places[] = {"000", "001", "100", "101"};
  EXPECT_EQ(coordinates(mesh), places[rank]);
  EXPECT_EQ(members(mesh.tensor()), rank < 2 ? "0 1 " : "2 3 ");
  EXPECT_EQ(members(mesh.data()), rank % 2 == 0 ? "0 2 " : "1 3 ");
  EXPECT_EQ(mesh.data().rank(), rank / 2);
  EXPECT_EQ(mesh.data().name(), "data axis of fold-1");
  EXPECT_EQ(mesh.pipeline().size(), 1);
}

TEST_F(MeshOnFourRanks, CanBeMadeByEachHalfOnItsOwn) {
  const auto world = rank_environment().world();
  const int half = world->rank() / 2;
  const int ranks[] = {2 * half + 1, 2 * half};  // in turned order, which the group keeps

  const Mesh mesh(world->create_group(ranks, 17, "half"), {2, 1, 1}, "half");

  EXPECT_EQ(members(mesh.data()), half == 0 ? "1 0 " : "3 2 ");
}

}  // namespace
}  // namespace meshfold::dist
