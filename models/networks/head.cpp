#include "models/networks/head.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <vector>

#include "models/ops/linear.hpp"
#include "models/ops/pooling.hpp"

namespace meshfold::models {
namespace {

/// Site 0, then 2, 3 and so on: site 1 is the pooler's input.
std::vector<ops::DropoutSite> dropout_sites(double probability, std::int64_t samples) {
  if (samples < 1) throw std::invalid_argument("the head has no dropout sample");
  std::vector<ops::DropoutSite> sites{{probability, 0}};
  for (std::int64_t sample = 1; sample < samples; ++sample) {
    sites.push_back({probability, static_cast<std::uint16_t>(sample + 1)});
  }
  return sites;
}

}  // namespace

Head::Head(const HeadConfig& config, const Backbone& backbone)
    : config_(config),
      dropout_(dropout_sites(config.dropout.value_or(backbone.classifier_dropout()), config.dropout_samples)),
      pooler_(make_pooler(config, backbone)) {
  if (config.labels.empty()) throw std::invalid_argument("the head has no labels, so nothing to predict");
  if (config.views < 1) throw std::invalid_argument("the head reads no text");
}

void Head::declare(const ParameterDeclaration& declare) const {
  pooler_->declare(declare);
  const std::int64_t width = config_.views * pooler_->width() + static_cast<std::int64_t>(config_.features.size());
  declare.linear("classifier", {.role = Role::kClassifier,
                                .out = static_cast<std::int64_t>(config_.labels.size()),
                                .in = width,
                                .copy = ComputeCopy::kNo});
}

void Head::bind(const ParameterStore& store) {
  pooler_->bind(store);
  classifier_ = in_full_precision(find_linear(store, "classifier"));
}

at::Tensor Head::side_by_side(const at::Tensor& pooled, const PackedInput& input) const {
  const auto num_features = static_cast<std::int64_t>(config_.features.size());
  const std::int64_t samples = pooled.size(0) / config_.views, width = config_.views * pooler_->width();
  if (samples == 0) return pooled.new_empty({0, width + num_features});
  const std::int64_t given = input.features.defined() ? input.features.size(1) : 0;
  if (input.views_per_sample != config_.views || given != num_features) {
    throw std::invalid_argument("the head reads " + std::to_string(config_.views) + " texts and " +
                                std::to_string(num_features) + " features a sample, but is given " +
                                std::to_string(input.views_per_sample) + " and " + std::to_string(given));
  }
  const at::Tensor texts = config_.views == 1 ? pooled : pooled.reshape({samples, width});
  if (num_features == 0) return texts;
  std::vector<double> means, scales;
  for (const Feature& feature : config_.features) {
    means.push_back(feature.mean);
    scales.push_back(feature.scale);
  }
  const auto options = input.features.options().dtype(at::kDouble);
  const at::Tensor standardised =
      (input.features.to(at::kDouble) - at::tensor(means, options)) / at::tensor(scales, options);
  return at::cat({texts, standardised.to(texts.scalar_type())}, 1);
}

at::Tensor Head::outputs(const HiddenStates& hidden, const PackedInput& input, const ForwardContext& context) const {
  const at::Tensor pooled = ops::mean_dropout_rows((*pooler_)(hidden, input, context), dropout_, input, context);
  return ops::linear(side_by_side(pooled, input), classifier_, ops::Activation::kNone, context);
}

}  // namespace meshfold::models
