#include "models/networks/pooler.hpp"

#include <stdexcept>

#include "models/networks/poolers.hpp"

namespace meshfold::models {
namespace {

/// As transformers' sequence classifiers: the first token, a dense layer, an activation. In fp32.
class ClsPooler final : public Pooler {
 public:
  explicit ClsPooler(const Backbone& backbone)
      : config_(backbone.pooler()), num_layers_(backbone.shape().num_layers), width_(backbone.shape().hidden_size) {}

  void declare(ParameterDeclaration& declare) const override {
    declare.linear(config_.name, width_, width_, ComputeCopy::kNo);
  }
  void bind(const ParameterStore& store) override { dense_ = in_full_precision(find_linear(store, config_.name)); }
  std::int64_t first_state() const override { return num_layers_; }
  std::int64_t width() const override { return width_; }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input,
                        const ForwardContext& context) const override {
    const at::Tensor first = ops::dropout_rows(ops::pool_cls(hidden.last(), input),
                                               {config_.input_dropout, kPoolerInputSite}, input, context);
    return ops::linear(first, dense_.weight, dense_.bias, config_.activation, context);
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  static constexpr std::uint16_t kPoolerInputSite = 1;  // head dropout's site 0 is before the classifier

  PoolerConfig config_;
  std::int64_t num_layers_, width_;
  LinearParameters dense_;
};

class MeanPooler final : public Pooler {
 public:
  explicit MeanPooler(const Backbone& backbone)
      : num_layers_(backbone.shape().num_layers), width_(backbone.shape().hidden_size) {}

  std::int64_t first_state() const override { return num_layers_; }
  std::int64_t width() const override { return width_; }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input, const ForwardContext&) const override {
    return ops::pool_mean(hidden.last(), input);
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  std::int64_t num_layers_, width_;
};

}  // namespace

Rows rows_read_by(const HeadConfig& head) {
  switch (head.pooling) {
    case Pooling::kCls:
    case Pooling::kConcatCls:
      return Rows::kFirst;
    case Pooling::kWeightedLayers:
      return head.layer_pooling == Pooling::kCls ? Rows::kFirst : Rows::kAll;
    case Pooling::kMean:
    case Pooling::kMax:
    case Pooling::kMin:
    case Pooling::kLast:
    case Pooling::kAttention:
      return Rows::kAll;
  }
  throw std::invalid_argument("a head has an unknown pooling");
}

std::unique_ptr<Pooler> make_pooler(const HeadConfig& head, const Backbone& backbone) {
  switch (head.pooling) {
    case Pooling::kCls:
      return std::make_unique<ClsPooler>(backbone);
    case Pooling::kMean:
      return std::make_unique<MeanPooler>(backbone);
    case Pooling::kMax:
    case Pooling::kMin:
    case Pooling::kLast:
      return make_token_pooler(head.pooling, backbone);
    case Pooling::kAttention:
      return make_attention_pooler(backbone);
    case Pooling::kWeightedLayers:
      return make_layer_pooler(head, backbone);
    case Pooling::kConcatCls:
      return make_concatenated_pooler(head, backbone);
  }
  throw std::invalid_argument("a head has an unknown pooling");
}

}  // namespace meshfold::models
