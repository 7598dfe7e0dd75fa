#include <ATen/Functions.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "jobs/config/job_setup.hpp"
#include "jobs/error.hpp"
#include "jobs/plan/run_plan.hpp"
#include "jobs/train/gradient_buckets.hpp"
#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {
namespace {

/// A fine-tuning of MiniLM on 300 real rows.
RunConfig real_config() {
  const std::filesystem::path data = std::getenv("MESHFOLD_TEST_DATA");
  RunConfig config;
  config.data.train = (data / "vader.csv").string();
  config.data.targets = {"mean", "sd"};
  config.data.group = "doc";
  config.data.sample_rows = 300;
  config.model.path = (data / "minilm").string();
  config.precision = Precision::kBf16;
  config.cv.folds = 3;
  config.cv.strategy = FoldStrategy::kGroup;
  config.cv.metric.name = "mcrmse";
  return config;
}

RunPlan plan_of(const RunConfig& config, int ranks, CommandName command = CommandName::kTrain) {
  std::FILE* const nowhere = std::fopen("/dev/null", "w");
  RunPlan plan;
  {
    Console console(0, nowhere, Console::Style::kPlain);
    plan = plan_run(command, config, ranks, console);
  }
  std::fclose(nowhere);
  return plan;
}

/// What a rank really loads.
std::unique_ptr<models::Model> load_part(const RunConfig& config, const dist::MeshShape& shape,
                                         const dist::MeshCoordinates& place) {
  models::HeadConfig head;
  head.labels = config.data.targets;
  models::ModelLayout layout = first_part(config, shape);
  layout.tensor_rank = place.tensor;
  layout.pipeline_rank = place.pipeline;
  return models::load_model(config.model.path, load_options_of(config, head, layout)).model;
}

const ParameterPlan& parameter(const RunPlan& plan, const std::string& name) {
  const auto found = std::ranges::find(plan.parameters, name, &ParameterPlan::name);
  if (found == plan.parameters.end()) throw std::invalid_argument("no parameter " + name);
  return *found;
}

TEST(Plan, HoldsWhatALoadedModelAndItsOptimizerHold) {
  RunConfig config = real_config();
  config.mesh.pipeline = 2;
  config.mesh.tensor = 2;

  const RunPlan plan = plan_of(config, 8);

  ASSERT_EQ(plan.groups.size(), 1U);
  const GroupPlan& group = plan.groups.front();
  ASSERT_EQ(group.plans.size(), 8U);
  std::map<std::pair<int, int>, std::int64_t> states;  // of the data ranks together
  for (const RankPlan& rank : group.plans) {
    const auto model = load_part(config, group.shape, rank.place);
    const models::ParameterStore& store = std::as_const(*model).parameters();
    const auto range = owned_elements(gradient_buckets(store, 2), rank.place.data);
    const auto optimizer = make_optimizer(store, config.optimizer, range);
    std::int64_t state_bytes = 0, copy_bytes = 0;
    for (const auto& state : optimizer->states()) state_bytes += static_cast<std::int64_t>(state.values.nbytes());
    for (const auto& parameter : store) {
      const auto& view = parameter.view;
      if (view.compute.scalar_type() == at::kBFloat16) copy_bytes += static_cast<std::int64_t>(view.compute.nbytes());
    }
    EXPECT_EQ(rank.memory.weights, static_cast<std::int64_t>(store.flat().nbytes())) << rank.rank;
    EXPECT_EQ(rank.memory.gradients, static_cast<std::int64_t>(store.flat().nbytes())) << rank.rank;
    EXPECT_EQ(rank.memory.compute_copies, copy_bytes) << rank.rank;
    EXPECT_EQ(rank.memory.optimizer, state_bytes) << rank.rank;
    states[{rank.place.pipeline, rank.place.tensor}] += rank.memory.optimizer;
  }
  for (const RankPlan& rank : group.plans) {
    EXPECT_EQ((states[{rank.place.pipeline, rank.place.tensor}]), 2 * rank.memory.weights)
        << "states of all data ranks";
  }
}

TEST(Plan, NamesTheRuleTheShardsAndTheStageOfEveryParameter) {
  RunConfig config = real_config();
  config.mesh.pipeline = 2;
  config.mesh.tensor = 3;
  config.pipeline.stages = {4, 2};

  const RunPlan plan = plan_of(config, 6);

  const auto& words = parameter(plan, "bert.embeddings.word_embeddings.weight");
  EXPECT_EQ(words.rule, R"(bert\.embeddings\.word_embeddings\.weight -> tensor~, -)");
  EXPECT_EQ(words.shape, (std::vector<std::int64_t>{30522, 384}));
  EXPECT_EQ(words.shards, (std::vector<std::vector<std::int64_t>>{{10174, 384}, {10174, 384}, {10174, 384}}));
  EXPECT_EQ(words.stage, 0);
  EXPECT_FALSE(words.compute_copy);
  const auto& query = parameter(plan, "bert.encoder.layer.4.attention.self.query.weight");
  EXPECT_EQ(query.shards, (std::vector<std::vector<std::int64_t>>(3, {128, 384})));
  EXPECT_EQ(query.stage, 1);
  EXPECT_TRUE(query.compute_copy);
  EXPECT_EQ(parameter(plan, "bert.encoder.layer.3.output.LayerNorm.bias").stage, 0);
  EXPECT_EQ(parameter(plan, "bert.encoder.layer.3.output.LayerNorm.bias").rule, "");
  EXPECT_EQ(parameter(plan, "classifier.weight").stage, 1);
  EXPECT_TRUE(plan.whole.empty());
}

TEST(Plan, CountsStepsAndRatesOfEveryFoldAndPlacesTheFolds) {
  RunConfig config = real_config();
  config.training.epochs = 2;
  config.training.batch_size = 16;
  config.schedule.warmup_steps = 5;
  config.optimizer.learning_rate = 1e-3;

  const RunPlan plan = plan_of(config, 4, CommandName::kCv);

  ASSERT_EQ(plan.jobs.size(), 3U);
  std::int64_t steps = 0;
  for (const JobSteps& job : plan.jobs) {
    EXPECT_EQ(job.training_rows + job.validation_rows, 300U);
    EXPECT_EQ(job.steps, 2 * static_cast<std::int64_t>((job.training_rows + 15) / 16));
    EXPECT_EQ(job.rates.first, 0.0);
    EXPECT_EQ(job.rates.peak, 1e-3);
    EXPECT_DOUBLE_EQ(job.rates.last, 1e-3 / static_cast<double>(job.steps - 5));
    steps += job.steps;
  }
  EXPECT_EQ(plan.steps(), steps);
  ASSERT_EQ(plan.groups.size(), 3U);
  EXPECT_EQ(plan.groups[0].ranks, (std::vector<int>{0, 1}));
  EXPECT_EQ(plan.groups[0].shape.data, 2);
  EXPECT_EQ(plan.groups[2].ranks, (std::vector<int>{3}));
  EXPECT_EQ(plan.groups[2].plans.front().rank, 3);
  // A rank alone keeps all states; two share them.
  EXPECT_GT(plan.groups[2].plans.front().memory.optimizer, plan.groups[0].plans.front().memory.optimizer);
}

TEST(Plan, TellsEveryFaultOfALayoutAtOnce) {
  RunConfig config = real_config();
  config.mesh.tensor = 5;
  config.layout.rules = models::parse_layout_rules(
      R"(decoder_block.*ffw_gating.*/kernel -> -, tensor;
         bert\.encoder\.layer\.0\.attention\.output\.dense\.weight -> -, tensor;
         bert\.encoder\.layer\.0\.attention\.output\.dense\.\w+ -> tensor;
         classifier\.weight -> -, tensor~;
         bert\.encoder\.layer\.1\.attention\.self\.query\.bias -> tensor)");

  const RunPlan plan = plan_of(config, 5);

  std::string all;
  for (const std::string& fault : plan.faults) all += fault + "\n";
  EXPECT_NE(all.find("matches no parameter; it reads like a Keras path"), std::string::npos) << all;
  EXPECT_NE(all.find(R"(the rule meant is 'bert\.encoder\.layer\.\d+\.intermediate\.dense\.weight -> tensor, -')"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("layer.0.attention.output.dense.weight is matched by two layout rules"), std::string::npos) << all;
  EXPECT_NE(all.find("layer.1.attention.self.query.bias [384], 12 heads, does not divide"), std::string::npos) << all;
  EXPECT_NE(all.find("classifier.weight belongs to the head"), std::string::npos) << all;
  EXPECT_TRUE(plan.groups.front().plans.empty());
  EXPECT_FALSE(plan.jobs.empty());
}

TEST(Plan, TellsOfPiecesThatDoNotFitAndOfLargeParametersLeftWhole) {
  RunConfig config = real_config();
  config.mesh.tensor = 2;
  config.layout.rules =
      models::parse_layout_rules(R"(bert\.encoder\.layer\.\d+\.intermediate\.dense\.weight -> tensor, -)");
  const RunPlan unfit = plan_of(config, 2);
  config.layout.rules = models::parse_layout_rules(R"(bert\.embeddings\.word_embeddings\.weight -> tensor~, -)");
  const RunPlan fit = plan_of(config, 2);

  ASSERT_EQ(unfit.faults.size(), 1U);
  EXPECT_NE(unfit.faults.front().find("are cut together with"), std::string::npos) << unfit.faults.front();
  EXPECT_TRUE(fit.faults.empty());
  EXPECT_TRUE(std::ranges::any_of(fit.whole, [](const std::string& name) {
    return name.starts_with("bert.encoder.layer.5.intermediate.dense.weight");
  }));
}

TEST(Plan, RefusesWhatTheRunWouldRefuse) {
  RunConfig uneven = real_config();
  uneven.mesh.tensor = 2;
  RunConfig stages = real_config();
  stages.mesh.pipeline = 2;
  stages.pipeline.stages = {5, 2};
  RunConfig parts = real_config();
  parts.training.parts = 3;

  EXPECT_THROW(plan_of(uneven, 3), ConfigError);
  EXPECT_THROW(plan_of(uneven, 3, CommandName::kCv), ConfigError);
  EXPECT_THROW(plan_of(stages, 2), models::LayoutError);
  EXPECT_THROW(plan_of(parts, 2), ConfigError);
}

}  // namespace
}  // namespace meshfold::jobs
