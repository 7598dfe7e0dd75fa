#include "models/networks/stage_ranges.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "models/error.hpp"
#include "models/networks/backbone.hpp"
#include "models/networks/bert.hpp"

namespace meshfold::models {
namespace {

using Ranges = std::vector<LayerRange>;

std::unique_ptr<Backbone> bert_base() {
  BertConfig config;
  config.num_layers = 12;
  config.hidden_size = 768;
  config.num_heads = 12;
  config.intermediate_size = 3072;
  return make_bert_backbone(config, {});
}

Ranges stages_of_bert(int num_stages, const std::vector<int>& given = {}) {
  const auto backbone = bert_base();
  return stage_ranges(backbone->token_work(), backbone->shape().num_layers, num_stages, given);
}

TEST(StageRanges, AreBalancedByTheProductsOfBertsLayers) {
  const TokenWork work = bert_base()->token_work();

  EXPECT_EQ(work.layer, 4 * 768 * 768 + 2 * 768 * 3072) << "query, key, value, output; the feed-forward block";
  EXPECT_EQ(work.embeddings, 16 * 768);
  EXPECT_EQ(work.head, 768 * 768 / 128);
}

TEST(StageRanges, AreEvenWhereLayersDivide) {
  EXPECT_EQ(stages_of_bert(1), (Ranges{{0, 12}}));
  EXPECT_EQ(stages_of_bert(2), (Ranges{{0, 6}, {6, 12}}));
  EXPECT_EQ(stages_of_bert(4), (Ranges{{0, 3}, {3, 6}, {6, 9}, {9, 12}}));
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

  EXPECT_EQ(stages_of_bert(3, given), (Ranges{{0, 2}, {2, 6}, {6, 12}}));
  EXPECT_EQ(stages_of_bert(1, given), (Ranges{{0, 12}})) << "an export is of one stage";
}

TEST(StageRanges, HoldTheirLayersAndAtTheEndsTheEmbeddingsAndTheHead) {
  ParameterSpec words, layer, classifier;
  words.role = Role::kEmbedding;
  layer.role = Role::kOutput;
  layer.layer = 3;
  classifier.role = Role::kClassifier;

  const auto held = [&](const LayerRange& range) {
    return std::vector<bool>{holds(range, 6, words), holds(range, 6, layer), holds(range, 6, classifier)};
  };

  EXPECT_EQ(held({0, 3}), (std::vector<bool>{true, false, false}));
  EXPECT_EQ(held({3, 5}), (std::vector<bool>{false, true, false}));
  EXPECT_EQ(held({5, 6}), (std::vector<bool>{false, false, true}));
  EXPECT_EQ(held({0, 6}), (std::vector<bool>{true, true, true}));
}

TEST(StageRanges, RefuseCountsThatDoNotFit) {
  for (const std::vector<int>& given : {std::vector<int>{6, 5}, {4, 4, 4}, {12, 0}}) {
    EXPECT_THROW(stages_of_bert(2, given), LayoutError);
  }
  EXPECT_THROW(stages_of_bert(13), LayoutError);
}

}  // namespace
}  // namespace meshfold::models
