#include "models/head.hpp"

#include <stdexcept>

namespace meshfold::models {

Head::Head(const HeadConfig& config, const Backbone& backbone)
    : config_(config),
      dropout_(config.dropout.value_or(backbone.classifier_dropout())),
      pooler_(make_pooler(config, backbone)) {
  if (config.labels.empty()) throw std::invalid_argument("the head has no labels, so nothing to predict");
}

void Head::declare(ParameterDeclaration& declare) const {
  pooler_->declare(declare);
  declare.linear("classifier", static_cast<std::int64_t>(config_.labels.size()), pooler_->width(), ComputeCopy::kNo);
}

void Head::bind(const ParameterStore& store) {
  pooler_->bind(store);
  classifier_ = in_full_precision(find_linear(store, "classifier"));
}

at::Tensor Head::outputs(const HiddenStates& hidden, const PackedInput& input, const ForwardContext& context) const {
  const at::Tensor pooled = ops::dropout_rows((*pooler_)(hidden, input, context), {dropout_, 0}, input, context);
  return ops::linear(pooled, classifier_.weight, classifier_.bias, ops::Activation::kNone, context);
}

}  // namespace meshfold::models
