#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "models/files/safetensors.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/model.hpp"

namespace meshfold::models {

/// Inputs of these lengths, from a pack's tokens and segments.
inline PackedInput pack_of(const at::Tensor& token_ids, const at::Tensor& segments,
                           const std::vector<std::int64_t>& lengths) {
  PackedInput input{token_ids, at::empty_like(token_ids), segments, {0}, {}, 1};
  for (const std::int64_t length : lengths) {
    const std::int64_t first = input.cu_seqlens.back();
    input.positions.narrow(0, first, length).copy_(at::arange(length, at::kLong));
    input.cu_seqlens.push_back(static_cast<std::int32_t>(first + length));
    input.philox_rows.push_back(static_cast<std::uint32_t>(100 + input.philox_rows.size()));
  }
  return input;
}

/// What an oracle script left of a transformers model: inputs, logits, and every parameter's gradient of the MSE loss.
class TransformersReference {
 public:
  explicit TransformersReference(const std::filesystem::path& file) : tensors_(SafetensorsFile::open(file)) {}

  /// <oracles>/<name>
  static std::filesystem::path directory(const std::string& name) {
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    return std::filesystem::path(oracles ? oracles : "") / name;
  }

  at::Tensor tensor(const std::string& name) const { return tensors_.tensor(name); }
  PackedInput input() const {
    const at::Tensor lengths = tensor("lengths");
    const auto* values = lengths.const_data_ptr<std::int64_t>();
    return pack_of(tensor("token_ids"), tensor("segments"), {values, values + lengths.numel()});
  }

  /// One step of `model`, which must have no dropout: logits within 1e-4, every gradient by the norm rule.
  void expect_equal_step(Model& model) const {
    const ParameterStore& store = model.parameters();
    GradientAccumulator accumulator(store, Summation::kInOrder);
    const at::Tensor targets = tensor("targets");
    const auto loss = make_loss({}, targets.size(1));
    accumulator.begin_step();
    accumulator.begin_pack();
    const at::Tensor logits = model.forward(input(), {Mode::kTraining, {}, &accumulator});
    (*loss)(logits, targets, {loss->denominator(targets), {}}).backward();
    accumulator.end_pack();
    const double logit_error = (logits - tensor("logits")).abs().max().item<double>();
    testing::Test::RecordProperty("logit_error", std::to_string(logit_error));
    EXPECT_LE(logit_error, 1e-4);
    const at::Tensor flat = accumulator.sum_packs();
    expect_gradients("exact_gradient.", store, flat);
    expect_gradients("gradient.", store, flat);
  }

 private:
  /// ||g - ref|| <= 1e-3 max(||ref||, 1e-6 ||all gradients||) for every parameter, against the fp64 run and against the
  /// fp32 run ("gradient."). Where the true gradient is zero, as that of BERT's key biases, an fp32 run's is its own
  /// rounding: there only the fp64 run is a reference, and 1e-8 ||all gradients|| is allowed, a sixth of what fp32
  /// resolves (transformers in fp32 has 7e-10 in these tests).
  void expect_gradients(const std::string& prefix, const ParameterStore& store, const at::Tensor& flat) const {
    double all = 0.0, worst = 0.0;
    for (const auto& parameter : store) all += tensor(prefix + parameter.spec.name).square().sum().item<double>();
    const double smallest = 1e-6 * std::sqrt(all);
    for (const auto& parameter : store) {
      const std::string& name = parameter.spec.name;
      const bool vanishes = tensor("exact_gradient." + name).norm().item<double>() < 1e-6 * smallest;
      if (prefix == "gradient." && vanishes) continue;
      const at::Tensor expected = tensor(prefix + name);
      const at::Tensor actual = flat.narrow(0, parameter.view.offset, parameter.num_elements).view_as(expected);
      double bound = 1e-3 * std::max(expected.norm().item<double>(), smallest);
      if (vanishes) bound = 1e-2 * smallest;
      const double error = (actual - expected).norm().item<double>();
      EXPECT_LE(error, bound) << prefix << name << ", norms: ours " << actual.norm().item<double>() << ", reference "
                              << expected.norm().item<double>() << ", all " << std::sqrt(all);
      worst = std::max(worst, error / bound);
    }
    testing::Test::RecordProperty(prefix == "gradient." ? "worst_gradient_error" : "worst_exact_gradient_error",
                                  std::to_string(worst));
  }

  SafetensorsFile tensors_;
};

/// Largest difference of logits over the largest of the reference's.
inline double relative_error(const at::Tensor& logits, const at::Tensor& expected) {
  return (logits - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

/// A pack of eight inputs has the logits of eight packs of one, and their gradients add up to its own; dropout on.
inline void expect_packing_changes_nothing(Model& model, const PackedInput& whole) {
  GradientAccumulator together(model.parameters(), Summation::kInOrder), apart(model.parameters(), Summation::kInOrder);
  const DrawContext draws{11, 5, 0};
  together.begin_step();
  together.begin_pack();
  const at::Tensor logits = model.forward(whole, {Mode::kTraining, draws, &together});
  logits.square().sum().backward();
  together.end_pack();
  apart.begin_step();
  for (std::int64_t s = 0; s < whole.num_inputs(); ++s) {
    const std::int64_t first = whole.cu_seqlens[s], length = whole.cu_seqlens[s + 1] - first;
    PackedInput one =
        pack_of(whole.token_ids.narrow(0, first, length), whole.segments.narrow(0, first, length), {length});
    one.philox_rows = {whole.philox_rows[s]};
    apart.begin_pack();
    const at::Tensor row = model.forward(one, {Mode::kTraining, draws, &apart});
    row.square().sum().backward();
    apart.end_pack();
    EXPECT_LE((row[0] - logits[s]).abs().max().item<double>(), 1e-5) << "sample " << s;
  }
  const at::Tensor expected = apart.sum_packs(), actual = together.sum_packs();
  EXPECT_LE((actual - expected).norm().item<double>(), 1e-5 * expected.norm().item<double>());
  const at::Tensor undropped = model.forward(whole, {});
  EXPECT_GT((undropped - logits).abs().max().item<double>(), 1e-2) << "dropout did nothing";
}

/// Forward and backward on no sample at all.
inline void expect_empty_pack_runs(Model& model, std::int64_t outputs) {
  const PackedInput empty = pack_of(at::empty({0}, at::kLong), at::empty({0}, at::kLong), {});
  GradientAccumulator accumulator(model.parameters(), Summation::kInOrder);
  accumulator.begin_step();
  accumulator.begin_pack();
  const at::Tensor logits = model.forward(empty, {Mode::kTraining, {}, &accumulator});
  const at::Tensor loss = (*make_loss({}, outputs))(logits, at::empty({0, outputs}), {12.0, {}});
  loss.backward();
  accumulator.end_pack();
  EXPECT_EQ(logits.sizes(), (at::IntArrayRef{0, outputs}));
  EXPECT_EQ(loss.item<float>(), 0.0F);
  EXPECT_EQ(accumulator.sum_packs().abs().max().item<float>(), 0.0F);
}

}  // namespace meshfold::models
