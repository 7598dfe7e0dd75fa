// One training, whatever the mesh: a small BERT and a small DeBERTa with dropout, clipping, several packs (some empty,
// some of one token) and short last batches, on every mesh of the test's ranks, beside the same training on one rank.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "jobs/checkpoint/box.hpp"
#include "jobs/checkpoint/store.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/state_pieces.hpp"
#include "jobs/train/train_step.hpp"
#include "tests/jobs/toy_encoder.hpp"
#include "tests/jobs/toy_mesh.hpp"

namespace meshfold::jobs {
namespace {

using dist::Mesh;
using dist::MeshShape;
using tests::make_toy_encoder;
using tests::ToyKind;

/// Meshes of `ranks` ranks.
std::vector<MeshShape> shapes_of(int ranks) {
  std::vector<MeshShape> shapes = {{ranks, 1, 1}};
  if (ranks > 1) shapes.push_back({1, 1, ranks});
  if (ranks == 2) shapes.push_back({1, 2, 1});
  if (ranks == 4) shapes.insert(shapes.end(), {{2, 1, 2}, {2, 2, 1}, {1, 2, 2}});
  if (ranks == 8) shapes = {{2, 2, 2}};
  return shapes;
}

TrainSettings settings_of(OptimizerKind optimizer) {
  TrainSettings settings = tests::toy_settings();
  settings.training.deterministic = false;
  settings.training.parts = 12;
  settings.training.max_steps = 30;
  settings.bucket_bytes = 10 << 10;  // several buckets, which leave during backward
  settings.optimizer.kind = optimizer;
  settings.optimizer.learning_rate = optimizer == OptimizerKind::kSgd ? 0.05 : 1e-3;
  return settings;
}

struct Training {
  std::vector<StepReport> steps;  ///< on the first rank
  TrainOutcome outcome;
  std::string hash;  ///< of this rank's weights
};

class MeshInvariance : public testing::TestWithParam<ToyKind> {
 protected:
  Mesh mesh_of(const MeshShape& shape, dist::CallChecks checks = dist::CallChecks::kOff) {
    return {tests::rank_environment().world(), shape, "test", checks};
  }
  Training train_on(const Mesh& mesh, const TrainSettings& settings, const std::filesystem::path& directory,
                    const std::function<bool()>& stop = tests::never, std::vector<models::LayoutRule> rules = {},
                    const tests::ToyVariant& variant = {}) {
    const auto model = make_toy_encoder(GetParam(), mesh, settings.seed, at::kFloat, std::move(rules), variant);
    tests::Recorder told;
    Training run;
    run.outcome = train(tests::toy_task(directory), settings, *model, mesh, dataset_, told, stop);
    run.steps = told.steps;
    run.hash = model->parameters().hash();
    return run;
  }
  /// On one rank; only the first one needs to know.
  Training alone(const TrainSettings& settings) {
    if (world_.all().rank() > 0) return {};
    return train_on(Mesh(), settings, own_.path() / "alone");
  }
  std::filesystem::path fresh_directory() { return shared_.path() / std::to_string(num_directories_++); }
  void expect_curve(const Training& run, const Training& one, const std::string& what);

  Mesh world_ = tests::world_mesh();
  tests::ScratchDirectory own_;
  tests::SharedDirectory shared_{world_.all()};
  data::Dataset dataset_ = tests::make_toy_dataset(own_.path());
  int num_directories_ = 0;
};

void MeshInvariance::expect_curve(const Training& run, const Training& one, const std::string& what) {
  if (world_.all().rank() != 0) return;
  ASSERT_EQ(run.steps.size(), one.steps.size()) << what;
  EXPECT_NEAR(run.steps[0].loss, one.steps[0].loss, 1e-6) << what << ", step 1";
  double worst_loss = 0.0, worst_norm = 0.0;
  for (std::size_t step = 0; step < run.steps.size(); ++step) {
    worst_loss = std::max(worst_loss, std::abs(run.steps[step].loss - one.steps[step].loss));
    const double norm = one.steps[step].grad_norm;
    worst_norm = std::max(worst_norm, std::abs(run.steps[step].grad_norm - norm) / std::max(norm, 1.0));
  }
  EXPECT_LE(worst_loss, 1e-5) << what;
  EXPECT_LE(worst_norm, 1e-5) << what;
  RecordProperty("worst_loss_of_" + std::to_string(num_directories_), std::to_string(worst_loss));
}

TEST_P(MeshInvariance, KeepsLossAndNormOfEveryStepUnderAdamW) {
  const TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  const Training one = alone(settings);
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    expect_curve(train_on(mesh_of(shape), settings, fresh_directory()), one, shape.to_string());
  }
}

TEST_P(MeshInvariance, KeepsLossAndNormOfEveryStepUnderPlainGradientDescent) {
  const TrainSettings settings = settings_of(OptimizerKind::kSgd);
  const Training one = alone(settings);
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    expect_curve(train_on(mesh_of(shape), settings, fresh_directory()), one, shape.to_string());
  }
}

TEST_P(MeshInvariance, HoldsForALossThatCouplesTheSamplesOfAStep) {
  TrainSettings settings = settings_of(OptimizerKind::kSgd);
  settings.loss.kind = models::LossKind::kMcrmse;
  settings.training.max_steps = 6;
  const Training one = alone(settings);
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    expect_curve(train_on(mesh_of(shape), settings, fresh_directory()), one, shape.to_string());
  }
}

TEST_P(MeshInvariance, HoldsForMapsThatCutLess) {
  if (world_.all().size() == 1) GTEST_SKIP() << "needs several ranks";
  if (GetParam() == ToyKind::kDeberta) GTEST_SKIP() << "DeBERTa's attention is always cut";
  TrainSettings settings = settings_of(OptimizerKind::kSgd);
  settings.training.max_steps = 6;
  const Training one = alone(settings);
  const char* const feed_forward = R"(.*intermediate\.dense\.weight -> tensor, -; .*intermediate\.dense\.bias -> tensor;
                                      .*\d\.output\.dense\.weight -> -, tensor)";
  const char* const attention =
      R"(.*self\.(query|key|value)\.weight -> tensor, -; .*self\.(query|key|value)\.bias -> tensor;
                                   .*attention\.output\.dense\.weight -> -, tensor)";
  for (const std::string rules : {feed_forward, attention, R"(.*word_embeddings\.weight -> tensor~, -)"}) {
    const int ranks = world_.all().size();
    const Mesh mesh = mesh_of(ranks == 8 ? MeshShape{2, 2, 2} : MeshShape{1, 1, ranks});
    expect_curve(train_on(mesh, settings, fresh_directory(), tests::never, models::parse_layout_rules(rules)), one,
                 rules);
  }
}

TEST_P(MeshInvariance, HoldsForPoolersOfSeveralLayersFrozenLayersAndRecomputation) {
  TrainSettings settings = settings_of(OptimizerKind::kSgd);
  settings.training.max_steps = 4;
  models::HeadConfig weighted, concatenated;
  weighted.pooling = models::Pooling::kWeightedLayers;
  weighted.first_state = 0;
  weighted.layer_pooling = models::Pooling::kMean;
  weighted.dropout_samples = 2;
  concatenated.pooling = models::Pooling::kConcatCls;
  concatenated.num_layers = 3;
  const models::LayerRates one_frozen{true, 1, 0.9}, three_frozen{true, 3, 1.0};
  const std::pair<const char*, tests::ToyVariant> variants[] = {
      {"weighted layers", {weighted}},
      {"concatenated cls", {concatenated}},
      {"recomputed layers", {{}, models::Recompute::kLayers, {}}},
      {"a frozen layer, decay", {{}, models::Recompute::kNone, one_frozen}},
      {"three frozen layers, weighted, recomputed", {weighted, models::Recompute::kLayers, three_frozen}}};
  for (const auto& [name, variant] : variants) {
    Training one;
    if (world_.all().rank() == 0) {
      one = train_on(Mesh(), settings, own_.path() / name, tests::never, {}, variant);
    }
    for (const MeshShape& shape : shapes_of(world_.all().size())) {
      const Training many = train_on(mesh_of(shape), settings, fresh_directory(), tests::never, {}, variant);
      expect_curve(many, one, std::string(name) + " on " + shape.to_string());
    }
  }
}

/// Keeps the clipped gradient of a step instead of applying it.
class GradientRecorder final : public Optimizer {
 public:
  GradientRecorder(const models::ParameterStore& store, ElementRanges ranges) : Optimizer(store, std::move(ranges)) {}
  void step(const models::FlatGradient& gradient, double scale, double) override {
    std::vector<at::Tensor> parts;
    for (const ElementRange& range : ranges_) parts.push_back(gradient.values.narrow(0, range.begin, range.size()));
    kept = at::cat(parts) * scale;
  }
  std::vector<State> states() const override { return {}; }

  at::Tensor kept;
};

/// Every parameter's gradient of the first step, whole, on every rank.
std::map<std::string, at::Tensor> first_gradients(ToyKind kind, const Mesh& mesh, const TrainSettings& settings,
                                                  const data::Dataset& dataset) {
  const auto model = make_toy_encoder(kind, mesh, settings.seed);
  const models::ParameterStore& store = model->parameters();
  GradientExchange exchange(store, mesh, StateSharding::kOverData, settings.bucket_bytes);
  GradientRecorder recorder(store, exchange.owned());
  TrainStep step(step_settings("test", settings, settings.training.parts), *model, mesh, dataset, {exchange, recorder});
  const std::vector<std::uint32_t> rows = {3, 17, 0, 22, 9, 31, 12};
  step.run(rows, 0, 0.1, {});

  std::map<std::string, at::Tensor> gradients;
  for (const models::Parameter& parameter : std::as_const(*model).declaration()) {
    gradients[parameter.spec.name] = at::zeros(parameter.spec.global_shape);
  }
  const HeldBy held_by = exchange.sharded() ? HeldBy::kThisDataRank : HeldBy::kAllDataRanks;
  for (const checkpoint::Piece& piece : pieces_of("", store, exchange.owned(), recorder.kept, held_by, mesh)) {
    if (piece.copies.index > 0) continue;
    checkpoint::view_of(gradients[piece.name], checkpoint::whole_box(piece.global_shape), piece.box)
        .copy_(piece.tensor);
  }
  for (auto& [name, gradient] : gradients) mesh.all().all_reduce(gradient, dist::ReduceOp::kSum)->wait();
  return gradients;
}

TEST_P(MeshInvariance, GivesEveryParameterTheGradientOfOneRank) {
  const TrainSettings settings = settings_of(OptimizerKind::kSgd);
  const auto expected = first_gradients(GetParam(), Mesh(), settings, dataset_);
  double all = 0.0;
  for (const auto& [name, gradient] : expected) all += gradient.square().sum(at::kDouble).item<double>();
  all = std::sqrt(all);
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    const auto gradients = first_gradients(GetParam(), mesh_of(shape, dist::CallChecks::kOn), settings, dataset_);

    ASSERT_EQ(gradients.size(), expected.size());
    for (const auto& [name, reference] : expected) {
      // A key bias shifts all scores of a query alike: its gradient is zero, and both sides have their own rounding.
      const bool is_zero = name.ends_with("key.bias") && GetParam() == ToyKind::kBert;
      const double error = (gradients.at(name) - reference).norm().item<double>();
      const double bound = is_zero ? 1e-6 * all : 1e-4 * std::max(reference.norm().item<double>(), 1e-6 * all);
      EXPECT_LE(error, bound) << name << " on " << shape.to_string();
    }
  }
}

TEST_P(MeshInvariance, HoldsNoMoreThanItsPieceOfACutTensor) {
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    const Mesh mesh = mesh_of(shape);
    const auto whole = make_toy_encoder(GetParam(), Mesh()), part = make_toy_encoder(GetParam(), mesh);
    for (const models::Parameter& parameter : part->parameters()) {
      const at::Tensor& all = whole->parameters().find(parameter.spec.name)->view.value;
      const at::Tensor piece =
          checkpoint::view_of(all, checkpoint::whole_box(parameter.spec.global_shape), parameter.spec.box);
      EXPECT_TRUE(at::equal(parameter.view.value, piece)) << parameter.spec.name;
      const bool is_matrix = parameter.spec.name.find("encoder.layer.") != std::string::npos && all.dim() == 2;
      if (is_matrix) {
        EXPECT_EQ(parameter.num_elements * shape.tensor, all.numel()) << parameter.spec.name;
      }
    }
  }
}

TEST_P(MeshInvariance, IsBitwiseOverDataRanksInDeterministicModeWithOptimizerStatesShardedOrNot) {
  if (world_.all().size() == 3) GTEST_SKIP() << "deterministic mode needs a power of two of ranks";
  TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  settings.training.deterministic = true;
  settings.training.parts = std::max(4, world_.all().size());
  settings.training.max_steps = 8;
  const Training one = train_on(Mesh(), settings, own_.path() / "alone");  // every rank compares its weights
  for (const StateSharding sharding : {StateSharding::kOverData, StateSharding::kOff}) {
    settings.state_sharding = sharding;
    const Training many = train_on(mesh_of({world_.all().size(), 1, 1}), settings, fresh_directory());

    EXPECT_EQ(many.hash, one.hash) << (sharding == StateSharding::kOverData ? "sharded" : "not sharded");
    for (std::size_t step = 0; step < many.steps.size(); ++step) {
      EXPECT_EQ(many.steps[step].loss, one.steps[step].loss) << "step " << step + 1;
      EXPECT_EQ(many.steps[step].grad_norm, one.steps[step].grad_norm) << "step " << step + 1;
    }
  }
}

TEST_P(MeshInvariance, ContinuesFromACheckpointOfAnyOtherMesh) {
  TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  settings.training.max_steps = 12;
  const Training one = alone(settings);
  const std::vector<MeshShape> shapes = shapes_of(world_.all().size());
  for (const MeshShape& first : shapes) {
    const std::filesystem::path directory = fresh_directory();
    const Training begun = train_on(mesh_of(first), settings, directory, tests::stop_in_step(5));
    EXPECT_TRUE(begun.outcome.stopped);
    for (const std::string& fault : checkpoint::verify_checkpoint(directory / "checkpoint-5")) ADD_FAILURE() << fault;
    const std::filesystem::path copy = fresh_directory();
    if (world_.all().rank() == 0) {
      std::filesystem::copy(directory, copy, std::filesystem::copy_options::recursive);
    }
    world_.all().barrier();

    Training continued = train_on(mesh_of(shapes.back()), settings, copy);
    continued.steps.insert(continued.steps.begin(), begun.steps.begin(), begun.steps.end());
    expect_curve(continued, one, first.to_string() + ", continued on " + shapes.back().to_string());
    if (world_.all().rank() > 0) continue;
    Training alone_again = train_on(Mesh(), settings, directory);
    alone_again.steps.insert(alone_again.steps.begin(), begun.steps.begin(), begun.steps.end());
    expect_curve(alone_again, one, first.to_string() + ", continued on one rank");
  }
}

TEST_P(MeshInvariance, PredictsAlikeOnEveryMesh) {
  const std::vector<std::uint32_t> rows = {40, 3, 17, 0, 22, 9, 31};
  const Mesh alone;  // a model keeps its tensor axis
  const auto whole = make_toy_encoder(GetParam(), alone);
  const at::Tensor expected = predict_rows(*whole, alone, dataset_, rows, 12);
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    const Mesh mesh = mesh_of(shape);
    const auto model = make_toy_encoder(GetParam(), mesh);

    const at::Tensor predicted = predict_rows(*model, mesh, dataset_, rows, 12);

    EXPECT_LE((predicted - expected).abs().max().item<double>(), 1e-5) << shape.to_string();
  }
}

TEST_P(MeshInvariance, StaysCloseInBf16) {
  const std::vector<std::uint32_t> rows = {40, 3, 17, 0, 22, 9, 31};
  const Mesh alone;  // a model keeps its tensor axis
  const auto whole = make_toy_encoder(GetParam(), alone, 7, at::kBFloat16);
  const at::Tensor expected = predict_rows(*whole, alone, dataset_, rows, 12);
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    const Mesh mesh = mesh_of(shape);
    const auto model = make_toy_encoder(GetParam(), mesh, 7, at::kBFloat16);

    const at::Tensor predicted = predict_rows(*model, mesh, dataset_, rows, 12);

    const double error = (predicted - expected).abs().max().item<double>() / expected.abs().max().item<double>();
    RecordProperty("relative_error_of_" + std::to_string(shape.tensor), std::to_string(error));
    EXPECT_LE(error, 0.03) << shape.to_string();
  }
}

TEST_P(MeshInvariance, ComputesInBf16WithCopiesOfTheUpdatedWeights) {
  TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  const std::vector<std::uint32_t> rows = {40, 3, 17, 0, 22, 9, 31};
  for (const MeshShape& shape : shapes_of(world_.all().size())) {
    const Mesh mesh = mesh_of(shape);
    const auto model = make_toy_encoder(GetParam(), mesh, 7, at::kBFloat16);
    GradientExchange exchange(model->parameters(), mesh, StateSharding::kOverData);
    const auto optimizer = make_optimizer(model->parameters(), settings.optimizer, exchange.owned());
    TrainStep step(step_settings("test", settings, settings.training.parts), *model, mesh, dataset_,
                   {exchange, *optimizer});
    const at::Tensor before = predict_rows(*model, mesh, dataset_, rows, 12);
    step.run(rows, 0, 0.1, {});
    const at::Tensor after = predict_rows(*model, mesh, dataset_, rows, 12);
    model->parameters().refresh_compute_copies();

    EXPECT_TRUE(at::equal(after, predict_rows(*model, mesh, dataset_, rows, 12))) << shape.to_string();
    EXPECT_FALSE(at::equal(after, before)) << shape.to_string();
  }
}

INSTANTIATE_TEST_SUITE_P(Encoders, MeshInvariance, testing::Values(ToyKind::kBert, ToyKind::kDeberta),
                         [](const auto& instance) { return instance.param == ToyKind::kBert ? "Bert" : "Deberta"; });

}  // namespace
}  // namespace meshfold::jobs
