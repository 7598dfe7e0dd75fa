#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "base/philox.hpp"
#include "models/networks/model.hpp"
#include "models/parameters/parameter_initialization.hpp"

namespace meshfold::tests {

/// A two-layer network on packed tokens: mean of embeddings, linear, tanh, dropout, linear. LibTorch differentiates it
/// in plain ops, and hooks hand the weight gradients to the sink; small enough that a test trains it in milliseconds,
/// real enough to have dropout, several parameters and a decay mask.
class ToyModel final : public models::Model {
 public:
  static constexpr std::int64_t kVocabulary = 50, kEmbedding = 12, kHidden = 16;

  ToyModel(std::uint32_t seed, std::int64_t num_targets, double dropout)
      : dropout_(base::make_dropout_threshold(dropout)) {
    for (std::int64_t target = 0; target < num_targets; ++target) head_.labels.push_back("t" + std::to_string(target));
    add("embeddings.weight", {kVocabulary, kEmbedding}, models::Decay::kYes);
    add("hidden.weight", {kHidden, kEmbedding}, models::Decay::kYes);
    add("hidden.bias", {kHidden}, models::Decay::kNo);
    add("classifier.weight", {num_targets, kHidden}, models::Decay::kYes);
    add("classifier.bias", {num_targets}, models::Decay::kNo);
    store_.allocate(at::kCPU, at::kFloat);
    for (const models::Parameter& parameter : store_) models::initialize_parameter(parameter, seed, 0.5);
  }

  /// From this step on forward throws, or gives NaN, in training or its rehearsal; on the ranks where it is set.
  std::int64_t fails_at_step = std::numeric_limits<std::int64_t>::max();
  std::int64_t diverges_at_step = std::numeric_limits<std::int64_t>::max();

  models::ParameterStore& parameters() override { return store_; }
  const models::HeadConfig& head() const override { return head_; }
  std::uint64_t input_cost(std::uint64_t length) const override { return length * (6 * kHidden + length); }
  std::int64_t max_positions() const override { return 512; }
  std::string description() const override { return "toy"; }

  at::Tensor forward(const models::PackedInput& input, const models::ForwardContext& context) override {
    const bool training = context.mode != models::Mode::kEvaluation;
    if (training && context.draws.step >= fails_at_step) throw std::runtime_error("the toy model fails on purpose");
    const at::Tensor embeddings = leaf("embeddings.weight", context).index_select(0, input.token_ids);
    std::vector<at::Tensor> means;
    for (std::int64_t i = 0; i < input.num_inputs(); ++i) {
      const auto begin = input.cu_seqlens[static_cast<std::size_t>(i)],
                 end = input.cu_seqlens[static_cast<std::size_t>(i) + 1];
      means.push_back(embeddings.narrow(0, begin, end - begin).mean(0));
    }
    at::Tensor hidden = at::stack(means).matmul(leaf("hidden.weight", context).t()) + leaf("hidden.bias", context);
    hidden = hidden.tanh();
    if (training) hidden = hidden * dropout_mask(input, context.draws);
    at::Tensor outputs = hidden.matmul(leaf("classifier.weight", context).t()) + leaf("classifier.bias", context);
    if (training && context.draws.step >= diverges_at_step) outputs = outputs * std::numeric_limits<float>::quiet_NaN();
    return outputs;
  }

 private:
  void add(const std::string& name, std::vector<std::int64_t> shape, models::Decay decay) {
    models::ParameterSpec spec;
    spec.name = name;
    spec.global_shape = std::move(shape);
    spec.decay = decay;
    store_.add(std::move(spec));
  }

  at::Tensor leaf(const std::string& name, const models::ForwardContext& context) const {
    const models::ParameterView view = store_.view(name);
    at::Tensor weight = view.value.detach();
    if (context.mode != models::Mode::kTraining) return weight;
    weight.requires_grad_();
    weight.register_hook(
        [sink = context.gradients, view](const at::Tensor& gradient) { sink->add(view, gradient.contiguous()); });
    return weight;
  }

  at::Tensor dropout_mask(const models::PackedInput& input, const models::DrawContext& draws) const {
    const base::PhiloxKey key =
        base::make_philox_key(draws.seed, base::DrawPurpose::kHiddenDropout, draws.pass, /*site=*/0);
    at::Tensor mask = at::empty({input.num_inputs(), kHidden}, at::kFloat);
    auto values = mask.accessor<float, 2>();
    for (std::int64_t i = 0; i < input.num_inputs(); ++i) {
      for (std::int64_t column = 0; column < kHidden; ++column) {
        const std::uint32_t row = input.philox_rows[static_cast<std::size_t>(i)];
        const auto words = base::philox4x32_10({draws.step, row, 0, static_cast<std::uint32_t>(column / 8)}, key);
        const bool dropped = base::draw16(words, static_cast<int>(column % 8)) < dropout_.threshold;
        values[i][column] = dropped ? 0.0F : dropout_.scale;
      }
    }
    return mask;
  }

  models::ParameterStore store_;
  models::HeadConfig head_;
  base::DropoutThreshold dropout_;
};

}  // namespace meshfold::tests
