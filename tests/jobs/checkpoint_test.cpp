#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "dist/single_process_group.hpp"
#include "jobs/checkpoint/box.hpp"
#include "jobs/checkpoint/manifest.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/error.hpp"
#include "models/files/safetensors.hpp"
#include "tests/jobs/toy_problem.hpp"

namespace meshfold::jobs::checkpoint {
namespace {

namespace fs = std::filesystem;

Piece whole(const std::string& name, const at::Tensor& tensor) {
  return {name, tensor.sizes().vec(), whole_box(tensor.sizes().vec()), tensor};
}

/// A store of one process with a few tensors; the big one spans several checksum blocks.
class CheckpointStore : public testing::Test {
 protected:
  std::vector<Piece> pieces(float value) const {
    return {whole("model/big", at::full({2300, 1000}, value)), whole("model/row", at::arange(5).to(at::kFloat) + value),
            whole("model/scalar", at::full({}, value))};
  }
  std::vector<Piece> empty_pieces() const {
    return {whole("model/big", at::zeros({2300, 1000})), whole("model/row", at::zeros({5})),
            whole("model/scalar", at::zeros({}))};
  }
  void commit(std::int64_t step) { store_.commit(step, pieces(static_cast<float>(step)), {{"step", step}}); }
  fs::path checkpoint(std::int64_t step) const { return directory_.path() / ("checkpoint-" + std::to_string(step)); }
  void flip_byte(const fs::path& file, std::int64_t offset) const {
    std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(offset);
    const int byte = stream.get();
    stream.seekp(offset);
    stream.put(static_cast<char>(byte ^ 1));
    ASSERT_TRUE(stream.good());
  }

  tests::ScratchDirectory directory_;
  dist::SingleProcessGroup group_;
  Store store_{directory_.path(), group_};
  std::vector<std::string> notes_;
};

TEST_F(CheckpointStore, GivesBackWhatWasCommitted) {
  commit(3);
  const auto found = store_.find_newest(notes_);
  const std::vector<Piece> loaded = empty_pieces();
  store_.load(3, loaded, Store::Names::kExact);

  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->step, 3);
  EXPECT_EQ(found->state["step"], 3);
  EXPECT_TRUE(notes_.empty());
  const std::vector<Piece> wanted = pieces(3);
  for (std::size_t i = 0; i < wanted.size(); ++i)
    EXPECT_TRUE(at::equal(loaded[i].tensor, wanted[i].tensor)) << wanted[i].name;
  EXPECT_TRUE(verify_checkpoint(checkpoint(3)).empty());
}

TEST_F(CheckpointStore, WritesShardsThatAnySafetensorsReaderUnderstands) {
  commit(3);

  const auto shard = models::SafetensorsFile::open(checkpoint(3) / "shard-0.safetensors");
  EXPECT_TRUE(at::equal(shard.tensor("model/row"), pieces(3)[1].tensor));
}

TEST_F(CheckpointStore, LoadsABoxOfATensor) {
  commit(1);
  const at::Tensor part = at::zeros({2, 3});
  store_.load(1, {{"model/big", {2300, 1000}, {{2298, 997}, {2, 3}}, part}, {"model/row", {5}, {{1}, {3}}, part[0]}},
              Store::Names::kSubset);

  EXPECT_TRUE(at::equal(part, at::tensor({2.0F, 3.0F, 4.0F, 1.0F, 1.0F, 1.0F}).view({2, 3})));
}

TEST_F(CheckpointStore, FindsAFlippedByteInAnyFileAndTakesTheNextOlder) {
  for (const char* file : {"shard-0.safetensors", "manifest.json"}) {
    commit(1);
    commit(2);
    // In the last block of the shard; in the state of the manifest.
    const auto size = static_cast<std::int64_t>(fs::file_size(checkpoint(2) / file));
    flip_byte(checkpoint(2) / file, size > 1000000 ? size - 100 : size / 2);

    EXPECT_EQ(verify_checkpoint(checkpoint(2)).size(), 1U) << file;
    EXPECT_THROW(store_.load(2, empty_pieces(), Store::Names::kExact), CheckpointError) << file;
    notes_.clear();
    const auto found = store_.find_newest(notes_);

    ASSERT_TRUE(found.has_value());
    EXPECT_EQ(found->step, 1);
    ASSERT_EQ(notes_.size(), 1U);
    EXPECT_NE(notes_[0].find("bad-checkpoint-2"), std::string::npos) << notes_[0];
    EXPECT_EQ(store_.list(), std::vector<std::int64_t>{1});
  }
  EXPECT_TRUE(fs::exists(directory_.path() / "bad-checkpoint-2-2"));
}

TEST_F(CheckpointStore, FindsATruncatedAndAMissingShard) {
  commit(1);
  fs::resize_file(checkpoint(1) / "shard-0.safetensors", 1000);
  EXPECT_EQ(verify_checkpoint(checkpoint(1)).size(), 1U);

  fs::remove(checkpoint(1) / "shard-0.safetensors");
  EXPECT_EQ(verify_checkpoint(checkpoint(1)).size(), 1U);
  EXPECT_THROW(store_.find(1), CheckpointError);
}

TEST_F(CheckpointStore, HasNothingCommittedWhenKilledBetweenShardAndManifest) {
  // What such a kill leaves behind: a temporary directory with a shard.
  commit(1);
  fs::create_directories(directory_.path() / ".tmp-2-99-1");
  fs::copy(checkpoint(1) / "shard-0.safetensors", directory_.path() / ".tmp-2-99-1");
  fs::remove_all(checkpoint(1));

  EXPECT_FALSE(store_.find_newest(notes_).has_value());
  EXPECT_TRUE(store_.list().empty());
  store_.retain(1, {});
  EXPECT_TRUE(fs::is_empty(directory_.path()));
}

TEST_F(CheckpointStore, LeavesACommittedStepAsItIs) {
  commit(1);
  store_.commit(1, pieces(9), {{"step", 9}});

  EXPECT_EQ(store_.find(1).state["step"], 1);
}

TEST_F(CheckpointStore, PassesOverOneWithInfinities) {
  commit(1);
  store_.commit(2, pieces(std::numeric_limits<float>::infinity()), {});

  EXPECT_EQ(store_.find_newest(notes_)->step, 1);
}

TEST_F(CheckpointStore, NamesMissingExtraAndMisshapenTensors) {
  commit(1);
  const auto message = [&](std::vector<Piece> wanted, Store::Names names) -> std::string {
    try {
      store_.load(1, wanted, names);
    } catch (const CheckpointError& error) {
      return error.what();
    }
    return "no error";
  };
  std::vector<Piece> extra = empty_pieces(), fewer = {empty_pieces()[0]};
  extra.push_back(whole("model/other", at::zeros({1})));

  EXPECT_NE(message(extra, Store::Names::kSubset).find("'model/other' is missing"), std::string::npos);
  EXPECT_NE(message(fewer, Store::Names::kExact).find("'model/row' is not part of the model"), std::string::npos);
  EXPECT_EQ(message(fewer, Store::Names::kSubset), "no error");
  EXPECT_NE(message({whole("model/row", at::zeros({6}))}, Store::Names::kSubset).find("shape or dtype"),
            std::string::npos);
  EXPECT_NE(message({whole("model/row", at::zeros({5}, at::kDouble))}, Store::Names::kSubset).find("shape or dtype"),
            std::string::npos);
}

TEST_F(CheckpointStore, RetainsTheNewestAndTheProtected) {
  for (const std::int64_t step : {1, 2, 3, 10}) commit(step);
  store_.retain(2, {1});

  EXPECT_EQ(store_.list(), (std::vector<std::int64_t>{1, 3, 10}));
}

TEST_F(CheckpointStore, NeverRemovesTheOnlyGoodOne) {
  for (const std::int64_t step : {1, 2, 3}) commit(step);
  flip_byte(checkpoint(3) / "shard-0.safetensors", 5000);
  store_.retain(0, {});

  EXPECT_EQ(store_.list(), (std::vector<std::int64_t>{2, 3}));
}

TEST_F(CheckpointStore, ReportsAStorageErrorAndCommitsNothingWhereItCannotWrite) {
  std::ofstream(directory_.path() / "file") << "not a directory";
  Store store(directory_.path() / "file", group_);

  EXPECT_THROW(store.commit(1, pieces(1), {}), StorageError);
}

TEST(TilingFaults, TellGapsAndOverlaps) {
  Manifest manifest;
  manifest.files["f"] = {400, {}};
  const auto piece = [](std::int64_t start, std::int64_t extent) {
    return StoredPiece{{{start}, {extent}}, "f", 0, static_cast<std::uint64_t>(extent) * 4};
  };
  manifest.tensors["good"] = {at::kFloat, {10}, {piece(0, 4), piece(4, 6)}};
  EXPECT_TRUE(tiling_faults(manifest).empty());

  manifest.tensors["gap"] = {at::kFloat, {10}, {piece(0, 4), piece(5, 5)}};
  manifest.tensors["overlap"] = {at::kFloat, {10}, {piece(0, 5), piece(4, 5)}};
  const std::vector<std::string> faults = tiling_faults(manifest);
  ASSERT_EQ(faults.size(), 2U);
  EXPECT_NE(faults[0].find("9 of 10"), std::string::npos) << faults[0];
  EXPECT_NE(faults[1].find("overlap"), std::string::npos) << faults[1];
}

}  // namespace
}  // namespace meshfold::jobs::checkpoint
