#include "jobs/train/adamw.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/jobs/reference.hpp"
#include "tests/models/peak_memory.hpp"

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

models::FlatGradient flat_gradient(const models::ParameterStore& store, const nlohmann::json& gradients) {
  at::Tensor flat = at::empty({store.num_elements()});
  for (const models::Parameter& parameter : store) {
    const auto values = gradients[parameter.spec.name].get<std::vector<float>>();
    std::ranges::copy(values, flat.mutable_data_ptr<float>() + parameter.view.offset);
  }
  return models::FlatGradient(flat);
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
    for (int step = 0; step < 3; ++step) optimizer.step(models::FlatGradient(gradient), 0.7, 1e-3);
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

/// A table of which few rows are touched, and a dense parameter without decay.
models::ParameterStore table_store(std::int64_t rows) {
  models::ParameterStore store;
  for (const auto& [name, shape, decay] :
       {std::tuple{"words", std::vector<std::int64_t>{rows, 192}, models::Decay::kYes},
        std::tuple{"bias", std::vector<std::int64_t>{777}, models::Decay::kNo}}) {
    models::ParameterSpec spec;
    spec.name = name;
    spec.global_shape = shape;
    spec.decay = decay;
    store.add(spec);
  }
  store.allocate(at::kCPU, at::kFloat);
  store.flat().copy_(at::arange(store.num_elements()).to(at::kFloat).sin());
  store.flat().slice(0, 0, store.num_elements(), 5).fill_(-0.0F);
  return store;
}

/// A gradient whose other rows are zeros, also negative ones. `written` learns of what is not known to be zero.
at::Tensor table_gradient(const models::ParameterStore& store, int step, models::WrittenBlocks& written) {
  at::Tensor gradient = at::zeros({store.num_elements()});
  const std::int64_t rows = store[0].spec.global_shape[0], bias = store[1].view.offset;
  for (const std::int64_t row : {std::int64_t{0}, 7 * step % rows, (11 + 100 * step) % rows, rows - 1}) {
    gradient.narrow(0, row * 192, 192).copy_(at::arange(192).add(row + step).cos());
    written.mark(row * 192, (row + 1) * 192);
  }
  gradient.narrow(0, 50 * 192, 192).fill_(-0.0F);
  written.mark(50 * 192, 51 * 192);
  gradient.narrow(0, bias, 777).copy_(at::arange(777).add(step).sin());
  written.mark(bias, bias + 777);
  return gradient;
}

/// One update of every element, as written down in docs/numerics.md.
void update_all(at::Tensor value, at::Tensor first, at::Tensor second, const at::Tensor& gradient, int t,
                std::int64_t num_decayed, const OptimizerConfig& config, double rate) {
  const auto rest1 = static_cast<float>(1.0 - config.beta1), beta2 = static_cast<float>(config.beta2),
             rest2 = static_cast<float>(1.0 - config.beta2), epsilon = static_cast<float>(config.epsilon);
  const auto root = static_cast<float>(std::sqrt(1.0 - std::pow(config.beta2, t)));
  const auto step_size = static_cast<float>(rate / (1.0 - std::pow(config.beta1, t)));
  const auto decay = static_cast<float>(1.0 - rate * config.weight_decay);
  auto *w = value.mutable_data_ptr<float>(), *m = first.mutable_data_ptr<float>(),
       *v = second.mutable_data_ptr<float>();
  for (std::int64_t i = 0; i < value.numel(); ++i) {
    const float g = gradient.const_data_ptr<float>()[i] * 0.7F;
    m[i] = m[i] + rest1 * (g - m[i]);
    v[i] = v[i] * beta2 + rest2 * g * g;
    w[i] = w[i] * (i < num_decayed ? decay : 1.0F) - step_size * (m[i] / (std::sqrt(v[i]) / root + epsilon));
  }
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) { return at::equal(a.view(at::kInt), b.view(at::kInt)); }

TEST(AdamW, ThatSkipsUntouchedRowsGivesTheBitsOfTheFullUpdateAlsoAfterAResume) {
  OptimizerConfig config;
  for (const double weight_decay : {0.0, 0.1}) {
    for (const bool knows : {false, true}) {
      SCOPED_TRACE(testing::Message() << "decay " << weight_decay << (knows ? ", known zeros" : ""));
      config.weight_decay = weight_decay;
      const models::ParameterStore store = table_store(1000);
      const std::int64_t elements = store.num_elements();
      at::Tensor value = store.flat().clone(), first = at::zeros({elements}), second = at::zeros({elements});
      auto optimizer = std::make_unique<AdamW>(store, config);
      for (int step = 0; step < 6; ++step) {
        if (step == 3) {  // as from a checkpoint
          auto resumed = std::make_unique<AdamW>(store, config);
          for (std::size_t i = 0; i < 2; ++i) resumed->states()[i].values.copy_(optimizer->states()[i].values);
          resumed->resume(3);
          optimizer = std::move(resumed);
        }
        models::WrittenBlocks written(elements);
        const at::Tensor gradient = table_gradient(store, step, written);
        optimizer->step(models::FlatGradient(gradient, knows ? &written : nullptr), 0.7F, 1e-3);
        update_all(value, first, second, gradient, step + 1, store[1].view.offset, config, 1e-3);

        EXPECT_TRUE(same_bits(store.flat(), value)) << "step " << step;
        EXPECT_TRUE(same_bits(optimizer->states()[0].values, first)) << "step " << step;
        EXPECT_TRUE(same_bits(optimizer->states()[1].values, second)) << "step " << step;
      }
    }
  }
}

TEST(AdamW, TakesMemoryForMomentsOfTouchedRowsAloneAlsoAfterAResume) {
  const models::ParameterStore store = table_store(100'000);
  constexpr std::int64_t kTable = 100'000 * 192 * 4;
  models::WrittenBlocks written(store.num_elements());
  const at::Tensor gradient = table_gradient(store, 1, written);
  const auto growth_of = [&](bool resumes) {
    return models::peak_growth([&] {
      AdamW optimizer(store, {});
      if (resumes) optimizer.resume(5);
      for (int step = 0; step < 2; ++step) optimizer.step(models::FlatGradient(gradient, &written), 1.0, 1e-3);
    });
  };
  growth_of(false);  // makes threads and their stacks

  for (const bool resumes : {false, true}) {
    const std::int64_t growth = growth_of(resumes);
    if (growth < 0) GTEST_SKIP() << "no largest resident size to be had here";
    EXPECT_LT(growth, kTable / 50) << (resumes ? "resumed" : "begun");
  }
}

TEST(AdamW, RefusesAGradientOfAnotherSize) {
  const models::ParameterStore store = reference_store(tests::training_reference()["adamw"]);
  AdamW optimizer(store, {});

  EXPECT_THROW(optimizer.step(models::FlatGradient(at::zeros({store.num_elements() - 1})), 1.0, 1e-3),
               std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::jobs
