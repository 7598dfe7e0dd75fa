#include "jobs/train/gradient_buckets.hpp"

#include <ATen/ops/equal.h>
#include <ATen/ops/mse_loss.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "jobs/train/pack_input.hpp"
#include "jobs/train/stage_worker.hpp"
#include "models/parameters/layer_rates.hpp"
#include "tests/jobs/toy_encoder.hpp"

namespace meshfold::jobs {
namespace {

using tests::ToyKind;
using tests::ToyVariant;

constexpr std::int64_t kSmall = 10 << 10;

TEST(GradientBuckets, TileWhatLearnsAndAreDividedAmongAllRanks) {
  const dist::Mesh mesh;
  const auto model = tests::make_toy_encoder(ToyKind::kBert, mesh);

  const auto buckets = gradient_buckets(model->parameters(), 3, kSmall);

  ASSERT_GT(buckets.size(), 3U);
  std::int64_t place = 0;
  for (const GradientBucket& bucket : buckets) {
    EXPECT_EQ(bucket.range.begin, place);
    if (place > 0) {
      EXPECT_GE(bucket.range.size() * 4, kSmall);
    }
    ASSERT_EQ(bucket.shares.size(), 3U);
    for (const ElementRange& share : bucket.shares) {
      EXPECT_EQ(share.begin, place);
      EXPECT_NEAR(static_cast<double>(share.size()), static_cast<double>(bucket.range.size()) / 3,
                  static_cast<double>(bucket.range.size()) / 10);
      place = share.end;
    }
  }
  EXPECT_EQ(place, model->parameters().num_elements());
  std::int64_t owned = 0;
  for (int rank = 0; rank < 3; ++rank) owned += num_elements(owned_elements(buckets, rank));
  EXPECT_EQ(owned, place);
}

TEST(GradientBuckets, LeaveFrozenParametersOut) {
  const dist::Mesh mesh;
  ToyVariant variant;
  variant.rates = {true, 2, 1.0};
  const auto model = tests::make_toy_encoder(ToyKind::kDeberta, mesh, 7, at::kFloat, {}, variant);
  std::int64_t learning = 0;
  for (const models::Parameter& parameter : model->parameters()) {
    if (parameter.spec.rate > 0) learning += parameter.num_elements;
  }
  ASSERT_LT(learning, model->parameters().num_elements());

  const auto owned = owned_elements(gradient_buckets(model->parameters(), 1, kSmall), 0);

  EXPECT_EQ(num_elements(owned), learning);
  EXPECT_EQ(owned.size(), 1U) << "neighbours are one range";
}

/// What the accumulator said of the last of three packs of a pass.
struct Told {
  std::vector<std::int64_t> firsts;
  std::vector<at::Tensor> sums;  ///< behind each
  at::Tensor in_the_end;
};

Told train_three_packs(models::Model& model, models::PackPlace last_pack = models::PackPlace::kLast) {
  const tests::ScratchDirectory directory;
  const data::Dataset dataset = tests::make_toy_dataset(directory.path());
  models::GradientAccumulator gradients(model.parameters(), models::Summation::kInOrder);
  Told told;
  gradients.on_complete([&](const at::Tensor& sums, std::int64_t first) {
    told.firsts.push_back(first);
    told.sums.push_back(sums.narrow(0, first, sums.numel() - first).clone());
  });
  const std::vector<std::uint32_t> rows = {3, 17, 0, 22, 9, 31, 12};
  const std::span<const std::uint32_t> all(rows);
  models::ForwardContext context;
  context.mode = models::Mode::kTraining;
  StageWorker worker(model, dataset, {all.subspan(0, 2), all.subspan(2, 2), all.subspan(4)}, context, &gradients,
                     last_pack);
  worker.set_loss([&](int, const data::PackedBatch& batch, const at::Tensor& outputs) {
    return at::mse_loss(outputs, to_targets(batch, outputs.device()));
  });
  gradients.begin_step();
  for (int pack = 0; pack < 3; ++pack) {
    worker.forward({PipelinePhase::kForward, pack, 0}, {});
    worker.backward({PipelinePhase::kBackward, pack, 0}, {});
  }
  told.in_the_end = gradients.sum_packs();
  return told;
}

TEST(GradientBuckets, MayLeaveAfterEachLayerOfTheLastPackSinceNothingIsAddedLater) {
  const dist::Mesh mesh;
  ToyVariant weighted, recomputed, frozen;
  weighted.head.pooling = models::Pooling::kWeightedLayers;
  weighted.head.first_state = 0;
  weighted.head.layer_pooling = models::Pooling::kMean;
  recomputed.recompute = models::Recompute::kLayers;
  frozen.rates = {true, 1, 0.9};
  const std::vector<std::pair<std::string, std::pair<ToyVariant, std::size_t>>> cases = {
      {"plain", {{}, 4}}, {"weighted layers", {weighted, 4}}, {"recomputed", {recomputed, 4}}, {"frozen", {frozen, 2}}};
  for (const ToyKind kind : {ToyKind::kBert, ToyKind::kDeberta}) {
    for (const auto& [name, expected] : cases) {
      const auto model = tests::make_toy_encoder(kind, mesh, 7, at::kFloat, {}, expected.first);
      const Told told = train_three_packs(*model);

      ASSERT_EQ(told.firsts.size(), expected.second) << name << ": once a layer that has a graph below it";
      for (std::size_t i = 0; i < told.firsts.size(); ++i) {
        EXPECT_TRUE(i == 0 || told.firsts[i] < told.firsts[i - 1]) << name;
        const at::Tensor later = told.in_the_end.narrow(0, told.firsts[i], told.sums[i].numel());
        EXPECT_TRUE(at::equal(told.sums[i], later)) << name << ", call " << i;
        EXPECT_GT(told.sums[i].abs().sum().item<float>(), 0.0F) << name;
      }
    }
  }
}

TEST(GradientBuckets, StayWhereThePassKeepsItsGradientsForTheNextOne) {
  const dist::Mesh mesh;
  const auto model = tests::make_toy_encoder(ToyKind::kBert, mesh);

  EXPECT_TRUE(train_three_packs(*model, models::PackPlace::kInside).firsts.empty());
}

}  // namespace
}  // namespace meshfold::jobs
