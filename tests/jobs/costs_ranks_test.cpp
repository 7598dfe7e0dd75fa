// What stages and the exchange say that a step sends, against what the groups of the mesh have then sent.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "jobs/train/gradient_exchange.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/networks/pipeline_stage.hpp"
#include "tests/jobs/toy_encoder.hpp"
#include "tests/jobs/toy_mesh.hpp"

namespace meshfold::jobs {
namespace {

using dist::Mesh;
using dist::MeshShape;
using tests::make_toy_encoder;
using tests::ToyKind;

class CostsOfRanks : public testing::TestWithParam<ToyKind> {
 protected:
  Mesh mesh_of(const MeshShape& shape) const { return {tests::rank_environment().world(), shape, "test"}; }
  int ranks() const { return tests::rank_environment().size(); }
};

models::PackedInput pack_of(const std::vector<std::int32_t>& lengths) {
  models::PackedInput input;
  input.cu_seqlens = {0};
  std::vector<std::int64_t> positions;
  for (const std::int32_t length : lengths) {
    for (std::int32_t i = 0; i < length; ++i) positions.push_back(i);
    input.philox_rows.push_back(static_cast<std::uint32_t>(input.philox_rows.size()));
    input.cu_seqlens.push_back(input.cu_seqlens.back() + length);
  }
  input.positions = at::tensor(positions, at::kLong);
  input.token_ids = input.positions + 3;
  input.segments = at::zeros_like(input.positions);
  return input;
}

struct Variant {
  const char* name;
  at::ScalarType type;
  const char* rules;
  tests::ToyVariant toy;
};

std::vector<Variant> variants_of(ToyKind kind) {
  models::HeadConfig weighted;
  weighted.pooling = models::Pooling::kWeightedLayers;
  weighted.first_state = 1;
  std::vector<Variant> variants = {
      {"fp32", at::kFloat, "", {}},
      {"bf16, recomputed", at::kBFloat16, "", {weighted, models::Recompute::kLayers, {}}},
      {"frozen", at::kFloat, "", {{}, models::Recompute::kNone, {true, 2, 1.0}}},
      {"frozen, recomputed", at::kFloat, "", {{}, models::Recompute::kLayers, {true, 1, 1.0}}}};
  if (kind == ToyKind::kBert) {
    variants.push_back({"only the feed-forward block is cut",
                        at::kBFloat16,
                        R"(bert\.encoder\.layer\.\d+\.intermediate\.dense\.weight -> tensor, -;
                           bert\.encoder\.layer\.\d+\.intermediate\.dense\.bias -> tensor;
                           bert\.encoder\.layer\.\d+\.output\.dense\.weight -> -, tensor)",
                        {}});
    variants.push_back({"only one layer's attention is cut",
                        at::kFloat,
                        R"(bert\.encoder\.layer\.1\.attention\.self\.(query|key|value)\.weight -> tensor, -;
                           bert\.encoder\.layer\.1\.attention\.self\.(query|key|value)\.bias -> tensor;
                           bert\.encoder\.layer\.1\.attention\.output\.dense\.weight -> -, tensor)",
                        {}});
  }
  return variants;
}

TEST_P(CostsOfRanks, AreWhatBlocksSendOverTheTensorAxis) {
  const Mesh mesh = mesh_of({1, 1, ranks()});
  const models::PackedInput input = pack_of({9, 1, 14, 3});
  for (const Variant& variant : variants_of(GetParam())) {
    SCOPED_TRACE(variant.name);
    std::vector<models::LayoutRule> rules;
    if (*variant.rules != '\0') rules = models::parse_layout_rules(variant.rules);
    const auto model = make_toy_encoder(GetParam(), mesh, 7, variant.type, rules, variant.toy);
    const models::StageCosts costs = model->stage()->costs(model->stage()->shape_of(input));
    models::GradientAccumulator accumulator(model->parameters(), models::Summation::kInOrder);
    accumulator.begin_step();
    accumulator.begin_pack();

    const std::uint64_t before = mesh.tensor().bytes_sent();
    const at::Tensor outputs = model->forward(input, {models::Mode::kTraining, {11, 5, 0}, &accumulator});
    const std::uint64_t between = mesh.tensor().bytes_sent();
    outputs.square().sum().backward();

    EXPECT_EQ(static_cast<std::uint64_t>(costs.blocks.sent_forward), between - before);
    EXPECT_EQ(static_cast<std::uint64_t>(costs.blocks.sent_backward), mesh.tensor().bytes_sent() - between);
    if (ranks() > 1) {
      EXPECT_GT(costs.blocks.sent_backward, 0);
    }
  }
}

TEST_P(CostsOfRanks, AreWhatTheExchangeSendsOnEveryAxis) {
  std::vector<MeshShape> shapes = {{ranks(), 1, 1}, {1, 1, ranks()}};
  if (ranks() == 2) shapes.push_back({1, 2, 1});
  if (ranks() == 4) shapes.insert(shapes.end(), {{2, 1, 2}, {2, 2, 1}, {1, 2, 2}});
  for (const MeshShape& shape : shapes) {
    const Mesh mesh = mesh_of(shape);
    for (const StateSharding sharding : {StateSharding::kOff, StateSharding::kOverData}) {
      for (const std::int64_t bucket_bytes : {kBucketBytes, std::int64_t{10} << 10}) {
        SCOPED_TRACE(shape.to_string() + ", buckets of " + std::to_string(bucket_bytes));
        const auto model = make_toy_encoder(GetParam(), mesh);
        GradientExchange exchange(model->parameters(), mesh, sharding, bucket_bytes);
        const at::Tensor gradient = at::ones({model->parameters().num_elements()});
        const auto sent = [&] {
          return std::vector<std::uint64_t>{mesh.data().bytes_sent(), mesh.pipeline().bytes_sent(),
                                            mesh.tensor().bytes_sent()};
        };

        const std::vector<std::uint64_t> before = sent();
        exchange.reduce(gradient);
        exchange.norm(models::FlatGradient(gradient));
        exchange.gather_values();
        const std::vector<std::uint64_t> after = sent();

        const AxisBytes stated = exchange.bytes_sent();
        EXPECT_EQ(static_cast<std::uint64_t>(stated.data), after[0] - before[0]);
        EXPECT_EQ(static_cast<std::uint64_t>(stated.pipeline), after[1] - before[1]);
        EXPECT_EQ(static_cast<std::uint64_t>(stated.tensor), after[2] - before[2]);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kinds, CostsOfRanks, testing::Values(ToyKind::kBert, ToyKind::kDeberta),
                         [](const auto& entry) {
                           return std::string(entry.param == ToyKind::kBert ? "Bert" : "Deberta");
                         });

}  // namespace
}  // namespace meshfold::jobs
