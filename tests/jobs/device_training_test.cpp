// The whole trainer by the ATen back end and on a GPU, beside the same training by the host's kernels: a small BERT
// and a small DeBERTa with dropout, clipping, several packs and short last batches.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "jobs/train/pack_input.hpp"
#include "jobs/train/predict_rows.hpp"
#include "jobs/train/train_step.hpp"
#include "models/context/back_end.hpp"
#include "tests/jobs/toy_encoder.hpp"

namespace meshfold::jobs {
namespace {

using models::ops::AtenEverywhere;
using tests::ToyKind;

enum class Place { kHostKernels, kLibTorchOnHost, kCuda };

TrainSettings settings_of(OptimizerKind optimizer) {
  TrainSettings settings = tests::toy_settings();
  settings.training.deterministic = false;
  settings.training.parts = 3;
  settings.training.max_steps = 12;
  settings.optimizer.kind = optimizer;
  settings.optimizer.learning_rate = optimizer == OptimizerKind::kSgd ? 0.05 : 1e-3;
  return settings;
}

struct Training {
  std::vector<StepReport> steps;
  std::vector<EvaluationReport> evaluations;
  TrainOutcome outcome;
  at::Tensor predictions;
};

struct Case {
  ToyKind kind;
  Place place;
};

std::string name_of(const testing::TestParamInfo<Case>& entry) {
  const char* const places[] = {"HostKernels", "LibTorchOnHost", "Cuda"};
  return std::string(entry.param.kind == ToyKind::kBert ? "Bert" : "Deberta") +
         places[static_cast<int>(entry.param.place)];
}

class DeviceTraining : public testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    if (GetParam().place == Place::kCuda && !at::hasCUDA()) GTEST_SKIP() << "no CUDA device, or LibTorch without CUDA";
  }

  static at::Device device_of(Place place) {
    return place == Place::kCuda ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  }
  std::unique_ptr<models::Model> model_on(Place place, at::ScalarType type, tests::ToyVariant variant = {}) const {
    variant.device = device_of(place);
    return tests::make_toy_encoder(GetParam().kind, mesh_, /*seed=*/7, type, {}, variant);
  }
  Training train_on(Place place, const TrainSettings& settings, const std::string& directory,
                    at::ScalarType type = at::kFloat, const tests::ToyVariant& variant = {},
                    const std::function<bool()>& stop = tests::never) {
    std::optional<AtenEverywhere> aten;
    if (place == Place::kLibTorchOnHost) aten.emplace();
    const auto model = model_on(place, type, variant);
    EXPECT_EQ(model->parameters().flat().device().type(), device_of(place).type());
    tests::Recorder told;
    Training run;
    const TrainTask task = tests::toy_task(scratch_.path() / directory);
    run.outcome = train(task, settings, *model, mesh_, dataset_, told, stop);
    run.steps = told.steps;
    run.evaluations = told.evaluations;
    run.predictions = predict_rows(*model, mesh_, dataset_, task.validation_rows, 20);
    return run;
  }
  /// Losses within `bound`, gradient norms within `bound` of themselves.
  void expect_equal(const Training& run, const Training& host, double bound, double prediction_bound = 1e-4) {
    ASSERT_EQ(run.steps.size(), host.steps.size());
    double worst_loss = 0.0, worst_norm = 0.0;
    for (std::size_t step = 0; step < run.steps.size(); ++step) {
      worst_loss = std::max(worst_loss, std::abs(run.steps[step].loss - host.steps[step].loss));
      const double norm = host.steps[step].grad_norm;
      worst_norm = std::max(worst_norm, std::abs(run.steps[step].grad_norm - norm) / std::max(norm, 1.0));
    }
    EXPECT_LE(worst_loss, bound);
    EXPECT_LE(worst_norm, bound);
    EXPECT_TRUE(at::allclose(run.predictions, host.predictions, 0.0, prediction_bound));
    EXPECT_EQ(run.evaluations.size(), host.evaluations.size());
    RecordProperty("worst_loss", std::to_string(worst_loss));
    RecordProperty("worst_norm", std::to_string(worst_norm));
  }

  tests::ScratchDirectory scratch_;
  dist::Mesh mesh_;
  data::Dataset dataset_ = tests::make_toy_dataset(scratch_.path());
};

TEST_P(DeviceTraining, HasTheHostsLossesUnderAdamW) {
  const TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  expect_equal(train_on(GetParam().place, settings, "device"), train_on(Place::kHostKernels, settings, "host"), 1e-5);
}

TEST_P(DeviceTraining, HasTheHostsLossesUnderGradientDescentForALossThatCouplesTheStep) {
  TrainSettings settings = settings_of(OptimizerKind::kSgd);
  settings.loss.kind = models::LossKind::kMcrmse;
  settings.training.deterministic = true;
  settings.training.parts = 4;
  settings.training.max_steps = 6;
  expect_equal(train_on(GetParam().place, settings, "device"), train_on(Place::kHostKernels, settings, "host"), 1e-5);
}

TEST_P(DeviceTraining, StaysNearTheHostInBf16) {
  TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  settings.training.max_steps = 6;
  expect_equal(train_on(GetParam().place, settings, "device", at::kBFloat16),
               train_on(Place::kHostKernels, settings, "host", at::kBFloat16), 3e-2, 1e-1);
}

TEST_P(DeviceTraining, HasTheHostsLossesWithEveryPoolerAndRecomputedLayers) {
  TrainSettings settings = settings_of(OptimizerKind::kSgd);
  settings.training.max_steps = 3;
  using models::Pooling;
  for (const Pooling pooling : {Pooling::kMean, Pooling::kMax, Pooling::kLast, Pooling::kAttention,
                                Pooling::kWeightedLayers, Pooling::kConcatCls}) {
    SCOPED_TRACE(static_cast<int>(pooling));
    tests::ToyVariant variant;
    variant.head.pooling = pooling;
    variant.head.first_state = 1;
    variant.head.num_layers = 2;
    variant.head.dropout_samples = 3;
    variant.recompute = models::Recompute::kLayers;
    const std::string name = std::to_string(static_cast<int>(pooling));
    expect_equal(train_on(GetParam().place, settings, "device" + name, at::kFloat, variant),
                 train_on(Place::kHostKernels, settings, "host" + name, at::kFloat, variant), 1e-5);
  }
}

TEST_P(DeviceTraining, GoesOnFromItsCheckpointOnTheHostAndFromTheHostsOnTheDevice) {
  const TrainSettings settings = settings_of(OptimizerKind::kAdamW);
  const Training whole = train_on(Place::kHostKernels, settings, "whole");
  const auto continued = [&](Place first, Place second, const std::string& directory) {
    const Training begun = train_on(first, settings, directory, at::kFloat, {}, tests::stop_in_step(5));
    EXPECT_TRUE(begun.outcome.stopped);
    Training rest = train_on(second, settings, directory);
    rest.steps.insert(rest.steps.begin(), begun.steps.begin(), begun.steps.end());
    rest.evaluations.insert(rest.evaluations.begin(), begun.evaluations.begin(), begun.evaluations.end());
    return rest;
  };
  expect_equal(continued(GetParam().place, Place::kHostKernels, "to host"), whole, 1e-5);
  expect_equal(continued(Place::kHostKernels, GetParam().place, "from host"), whole, 1e-5);
}

TEST_P(DeviceTraining, HasTheHostsWeightsAndGradients) {
  const auto gradients_on = [&](Place place) {
    std::optional<AtenEverywhere> aten;
    if (place == Place::kLibTorchOnHost) aten.emplace();
    const auto model = model_on(place, at::kFloat);
    models::GradientAccumulator gradients(model->parameters(), models::Summation::kInOrder);
    const std::vector<std::uint32_t> rows = tests::toy_task({}).training_rows;
    const data::PackedBatch batch = data::assemble(dataset_, rows);
    gradients.begin_step();
    gradients.begin_pack();
    model
        ->forward(to_packed_input(batch, model->parameters().flat().device()),
                  {models::Mode::kTraining, {11, 5, 1}, &gradients})
        .square()
        .sum()
        .backward();
    gradients.end_pack();
    return std::pair(model->parameters().hash(), gradients.sum_packs().cpu());
  };
  const auto host = gradients_on(Place::kHostKernels), device = gradients_on(GetParam().place);
  EXPECT_EQ(device.first, host.first);
  const double all = host.second.norm().item<double>();
  ASSERT_GT(all, 0.0);
  const auto model = model_on(Place::kHostKernels, at::kFloat);
  for (const models::Parameter& parameter : std::as_const(*model).parameters()) {
    const auto part = [&](const at::Tensor& flat) {
      return flat.narrow(0, parameter.view.offset, parameter.num_elements);
    };
    const at::Tensor expected = part(host.second);
    EXPECT_LE((part(device.second) - expected).norm().item<double>(),
              1e-4 * std::max(expected.norm().item<double>(), 1e-6 * all) + 1e-8 * all)
        << parameter.spec.name;
  }
}

std::vector<Case> cases_of(const std::vector<Place>& places) {
  std::vector<Case> cases;
  for (const ToyKind kind : {ToyKind::kBert, ToyKind::kDeberta}) {
    for (const Place place : places) cases.push_back({kind, place});
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(WithoutGpu, DeviceTraining, testing::ValuesIn(cases_of({Place::kLibTorchOnHost})), name_of);
INSTANTIATE_TEST_SUITE_P(Gpu, DeviceTraining, testing::ValuesIn(cases_of({Place::kCuda})), name_of);

}  // namespace
}  // namespace meshfold::jobs
