#include "dist/mesh.hpp"

#include <gtest/gtest.h>

namespace meshfold::dist {
namespace {

TEST(Mesh, OfOneRankNeedsNoMpi) {
  const Mesh mesh("fold-3");

  EXPECT_EQ(mesh.shape().size(), 1);
  EXPECT_EQ(mesh.coordinates().data, 0);
  EXPECT_EQ(mesh.all().size(), 1);
  EXPECT_EQ(mesh.data().name(), "data axis of fold-3");
  EXPECT_EQ(mesh.tensor().all_gather_bytes("x"), std::vector<std::string>{"x"});
}

TEST(MeshShape, SpeaksInWords) { EXPECT_EQ((MeshShape{2, 1, 4}.to_string()), "2 data x 1 pipeline x 4 tensor"); }

}  // namespace
}  // namespace meshfold::dist
