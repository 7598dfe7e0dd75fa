#include "models/networks/stage_ranges.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "models/error.hpp"
#include "models/networks/backbone.hpp"

namespace meshfold::models {
namespace {

using Ranges = std::vector<LayerRange>;

BackboneShape bert_base() {
  BackboneShape shape;
  shape.num_layers = 12;
  shape.hidden_size = 768;
  shape.intermediate_size = 3072;
  return shape;
}

TEST(StageRanges, AreEvenWhereLayersDivide) {
  EXPECT_EQ(stage_ranges(bert_base(), 1), (Ranges{{0, 12}}));
  EXPECT_EQ(stage_ranges(bert_base(), 2), (Ranges{{0, 6}, {6, 12}}));
  EXPECT_EQ(stage_ranges(bert_base(), 4), (Ranges{{0, 3}, {3, 6}, {6, 9}, {9, 12}}));
}

TEST(StageRanges, GiveLayersThatAreLeftToStagesWithoutEmbeddingsAndHead) {
  EXPECT_EQ(balanced_stages({.embeddings = 2, .layer = 10, .head = 1}, 7, 3), (Ranges{{0, 2}, {2, 5}, {5, 7}}));
  EXPECT_EQ(balanced_stages({.embeddings = 1, .layer = 10, .head = 2}, 5, 2), (Ranges{{0, 3}, {3, 5}}));
  EXPECT_EQ(balanced_stages({.embeddings = 2, .layer = 10, .head = 1}, 5, 2), (Ranges{{0, 2}, {2, 5}}));
}

TEST(StageRanges, GiveAStageOfCostlyEmbeddingsFewerLayers) {
  EXPECT_EQ(balanced_stages({.embeddings = 30, .layer = 10, .head = 0}, 9, 3), (Ranges{{0, 1}, {1, 5}, {5, 9}}));
}

TEST(StageRanges, AreAsEvenAsTheCostliestStageAllows) {
  // The first stage costs 100 whatever the others do; these then share evenly.
  EXPECT_EQ(balanced_stages({.embeddings = 90, .layer = 10, .head = 0}, 9, 3), (Ranges{{0, 1}, {1, 5}, {5, 9}}));
}

TEST(StageRanges, AreThoseThatWereGiven) {
  const std::vector<int> given = {2, 4, 6};

  EXPECT_EQ(stage_ranges(bert_base(), 3, given), (Ranges{{0, 2}, {2, 6}, {6, 12}}));
  EXPECT_EQ(stage_ranges(bert_base(), 1, given), (Ranges{{0, 12}})) << "an export is of one stage";
}

TEST(StageRanges, RefuseCountsThatDoNotFit) {
  for (const std::vector<int>& given : {std::vector<int>{6, 5}, {4, 4, 4}, {12, 0}}) {
    EXPECT_THROW(stage_ranges(bert_base(), 2, given), LayoutError);
  }
  EXPECT_THROW(stage_ranges(bert_base(), 13), LayoutError);
}

}  // namespace
}  // namespace meshfold::models
