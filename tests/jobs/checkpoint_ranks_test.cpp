#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/error.hpp"
#include "dist/mesh.hpp"
#include "dist/single_process_group.hpp"
#include "jobs/checkpoint/box.hpp"
#include "jobs/checkpoint/manifest.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"
#include "tests/jobs/toy_mesh.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::jobs::checkpoint {
namespace {

namespace fs = std::filesystem;

/// A store of all ranks: one tensor that all hold and one that is cut into columns, a piece a rank.
class CheckpointStoreOfRanks : public testing::Test {
 protected:
  static constexpr std::int64_t kRows = 6, kColumnsPerRank = 2;

  dist::ProcessGroup& group() { return mesh_.all(); }
  std::int64_t columns() { return kColumnsPerRank * group().size(); }
  at::Tensor everywhere() { return at::arange(700).to(at::kFloat).view({100, 7}); }
  at::Tensor cut() { return at::arange(kRows * columns()).to(at::kFloat).view({kRows, columns()}); }

  std::vector<Piece> pieces() {
    const std::int64_t first = group().rank() * kColumnsPerRank;
    return {{"replicated", {100, 7}, whole_box({100, 7}), everywhere(), {1, group().rank(), group().size()}},
            {"cut",
             {kRows, columns()},
             {{0, first}, {kRows, kColumnsPerRank}},
             cut().narrow(1, first, kColumnsPerRank).contiguous()}};
  }

  dist::Mesh mesh_ = tests::world_mesh();
  tests::SharedDirectory directory_{mesh_.all()};
  Store store_{directory_.path(), mesh_.all()};
};

TEST_F(CheckpointStoreOfRanks, SpreadsReplicatedTensorsEvenlyOverTheRanks) {
  store_.commit(1, pieces(), {});

  std::vector<std::int64_t> rows;
  const Manifest manifest = read_manifest(directory_.path() / "checkpoint-1");
  for (const StoredPiece& piece : manifest.tensors.at("replicated").pieces) {
    rows.push_back(piece.box.extent[0]);
  }
  EXPECT_EQ(rows.size(), static_cast<std::size_t>(group().size()));
  for (const std::int64_t share : rows) EXPECT_NEAR(static_cast<double>(share), 100.0 / group().size(), 1.0);
  EXPECT_TRUE(verify_checkpoint(directory_.path() / "checkpoint-1").empty());
}

TEST_F(CheckpointStoreOfRanks, LoadsOnAnotherNumberOfRanksAndAnotherCut) {
  store_.commit(1, pieces(), {{"step", 1}});

  // Each rank alone reads everything whole ...
  dist::SingleProcessGroup alone;
  Store single(directory_.path(), alone);
  const at::Tensor replicated = at::zeros({100, 7}), whole = at::zeros({kRows, columns()});
  single.load(1,
              {{"replicated", {100, 7}, whole_box({100, 7}), replicated},
               {"cut", {kRows, columns()}, whole_box({kRows, columns()}), whole}},
              Store::Names::kExact);
  EXPECT_TRUE(at::equal(replicated, everywhere()));
  EXPECT_TRUE(at::equal(whole, cut()));

  // ... and all together read it cut the other way.
  const at::Tensor row = at::zeros({1, columns()});
  store_.load(1, {{"cut", {kRows, columns()}, {{group().rank(), 0}, {1, columns()}}, row}}, Store::Names::kSubset);
  EXPECT_TRUE(at::equal(row[0], cut()[group().rank()]));
}

TEST_F(CheckpointStoreOfRanks, FindsTheSameOneOnEveryRankAndSetsADamagedOneAside) {
  store_.commit(1, pieces(), {{"step", 1}});
  store_.commit(2, pieces(), {{"step", 2}});
  if (group().rank() == 0) fs::resize_file(directory_.path() / "checkpoint-2" / "shard-0.safetensors", 100);
  group().barrier();

  std::vector<std::string> notes;
  const auto found = store_.find_newest(notes);

  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->state["step"], 1);
  EXPECT_EQ(notes.size(), 1U);
}

TEST_F(CheckpointStoreOfRanks, CommitsNothingIfTheBoxesDoNotTile) {
  std::vector<Piece> gap = pieces();
  gap[1].global_shape[0] += 1;  // a row that no rank holds

  EXPECT_ANY_THROW(store_.commit(1, gap, {}));

  EXPECT_TRUE(store_.list().empty());
}

TEST_F(CheckpointStoreOfRanks, CommitsNothingIfOneRankFails) {
  std::vector<Piece> broken = pieces();
  if (group().rank() == group().size() - 1) broken[1].tensor = broken[1].tensor.t();  // not dense: this rank's mistake

  if (group().rank() == group().size() - 1) {
    EXPECT_THROW(store_.commit(1, broken, {}), std::invalid_argument);
  } else {
    EXPECT_THROW(store_.commit(1, broken, {}), dist::PeerFailed);
  }

  EXPECT_TRUE(store_.list().empty());
}

}  // namespace
}  // namespace meshfold::jobs::checkpoint
