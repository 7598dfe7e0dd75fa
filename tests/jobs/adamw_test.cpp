#include "jobs/train/adamw.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/jobs/reference.hpp"

namespace meshfold::jobs {
namespace {

/// A store with the oracle's parameters at their starting values.
models::ParameterStore reference_store(const nlohmann::json& reference) {
  models::ParameterStore store;
  for (const auto& [name, shape] : reference["shapes"].items()) {
    models::ParameterSpec spec;
    spec.name = name;
    spec.global_shape = shape.get<std::vector<std::int64_t>>();
    spec.decay = name.ends_with("bias") ? models::Decay::kNo : models::Decay::kYes;
    store.add(spec);
  }
  store.allocate(at::kCPU, at::kFloat);
  for (const models::Parameter& parameter : store) {
    const auto values = reference["start"][parameter.spec.name].get<std::vector<float>>();
    std::ranges::copy(values, parameter.view.value.mutable_data_ptr<float>());
  }
  return store;
}

at::Tensor flat_gradient(const models::ParameterStore& store, const nlohmann::json& gradients) {
  at::Tensor flat = at::empty({store.num_elements()});
  for (const models::Parameter& parameter : store) {
    const auto values = gradients[parameter.spec.name].get<std::vector<float>>();
    std::ranges::copy(values, flat.mutable_data_ptr<float>() + parameter.view.offset);
  }
  return flat;
}

TEST(AdamW, EqualsTorchOptimAdamWOverTwentyClippedStepsWithADecayMask) {
  const nlohmann::json& reference = tests::training_reference()["adamw"];
  const models::ParameterStore store = reference_store(reference);
  OptimizerConfig config;
  config.beta2 = 0.98;
  config.epsilon = 1e-6;
  config.weight_decay = 0.1;
  AdamW optimizer(store, config);

  for (const nlohmann::json& step : reference["steps"]) {
    const double norm = step["norm"].get<double>(), max_norm = reference["max_norm"].get<double>();
    optimizer.step(flat_gradient(store, step["gradient"]), std::min(1.0, max_norm / (norm + 1e-6)),
                   step["learning_rate"].get<double>());

    for (const models::Parameter& parameter : store) {
      const auto wanted = step["value"][parameter.spec.name].get<std::vector<float>>();
      const float* values = parameter.view.value.const_data_ptr<float>();
      for (std::size_t i = 0; i < wanted.size(); ++i)
        ASSERT_NEAR(values[i], wanted[i], 1e-6) << parameter.spec.name << " " << i;
    }
  }
  EXPECT_EQ(optimizer.num_updates(), 20);
}

TEST(AdamW, GivesTheSameBitsWhereverTheStorageIsCutIntoChunks) {
  // Two stores with the same values: one parameter of 100,003 elements (four chunks), and the same as 100,003 and its
  // neighbour.
  const auto updated = [](std::vector<std::int64_t> sizes) {
    models::ParameterStore store;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      models::ParameterSpec spec;
      spec.name = "p" + std::to_string(i);
      spec.global_shape = {sizes[i]};
      store.add(spec);
    }
    store.allocate(at::kCPU, at::kFloat);
    store.flat().copy_(at::arange(store.num_elements()).to(at::kFloat).sin());
    AdamW optimizer(store, {});
    const at::Tensor gradient = at::arange(store.num_elements()).to(at::kFloat).cos();
    for (int step = 0; step < 3; ++step) optimizer.step(gradient, 0.7, 1e-3);
    return store.flat().clone();
  };

  EXPECT_TRUE(at::equal(updated({100003}), updated({1, 49999, 50003})));
}

TEST(AdamW, TakesEachParametersShareOfTheLearningRateAndLeavesFrozenOnesAlone) {
  const nlohmann::json& reference = tests::training_reference()["adamw"];
  const auto updated = [&](double rate, double learning_rate) {
    models::ParameterStore store = reference_store(reference);
    for (std::size_t i = 0; i < store.size(); ++i) store.set_rate(i, rate);
    AdamW optimizer(store, {.weight_decay = 0.1});
    for (const nlohmann::json& step : reference["steps"]) {
      optimizer.step(flat_gradient(store, step["gradient"]), 1.0, learning_rate);
    }
    return store.flat().clone();
  };

  EXPECT_TRUE(at::equal(updated(0.25, 0.01), updated(1.0, 0.0025)));
  EXPECT_FALSE(at::equal(updated(0.25, 0.01), updated(1.0, 0.01)));
  EXPECT_TRUE(at::equal(updated(0.0, 0.01), reference_store(reference).flat()));
}

TEST(AdamW, RefusesAGradientOfAnotherSize) {
  const models::ParameterStore store = reference_store(tests::training_reference()["adamw"]);
  AdamW optimizer(store, {});

  EXPECT_THROW(optimizer.step(at::zeros({store.num_elements() - 1}), 1.0, 1e-3), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::jobs
