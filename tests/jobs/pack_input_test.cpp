#include "jobs/train/pack_input.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace meshfold::jobs {
namespace {

TEST(PackInput, NumbersTheTextsOfASampleAndKeepsItsFeatures) {
  data::PackedBatch batch;
  batch.token_ids = {4, 5, 6, 7, 8};
  batch.positions = {0, 0, 1, 0, 0};
  batch.segments = {0, 0, 0, 0, 0};
  batch.cu_seqlens = {0, 1, 3, 4, 5};
  batch.rows = {9, 2};
  batch.views_per_sample = 2;
  batch.features = {1, 2, 3, 4, 5, 6};

  const models::PackedInput input = to_packed_input(batch, at::kCPU);

  EXPECT_EQ(input.philox_rows, (std::vector<std::uint32_t>{18, 19, 4, 5})) << "row x views + view";
  EXPECT_EQ(input.views_per_sample, 2);
  EXPECT_TRUE(at::equal(input.features, at::tensor({1.0F, 2.0F, 3.0F, 4.0F, 5.0F, 6.0F}).view({2, 3})));
}

TEST(PackInput, HasNoFeaturesWhereTheDatasetHasNone) {
  data::PackedBatch batch;
  batch.token_ids = batch.positions = batch.segments = {0};
  batch.cu_seqlens = {0, 1};
  batch.rows = {0};

  EXPECT_FALSE(to_packed_input(batch, at::kCPU).features.defined());
}

}  // namespace
}  // namespace meshfold::jobs
