#include "models/networks/poolers.hpp"

#include <ATen/ATen.h>

#include <stdexcept>

#include "models/ops/pooling_blocks.hpp"

namespace meshfold::models {
namespace {

/// Of a pooler that reads the last hidden state alone.
class LastStatePooler : public Pooler {
 public:
  explicit LastStatePooler(const Backbone& backbone)
      : num_layers_(backbone.shape().num_layers), width_(backbone.shape().hidden_size) {}
  std::int64_t first_state() const override { return num_layers_; }
  std::int64_t width() const override { return width_; }

 private:
  std::int64_t num_layers_, width_;
};

class TokenPooler final : public LastStatePooler {
 public:
  TokenPooler(Pooling pooling, const Backbone& backbone) : LastStatePooler(backbone), pooling_(pooling) {}

  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input, const ForwardContext&) const override {
    switch (pooling_) {
      case Pooling::kMax:
        return ops::pool_extreme(hidden.last(), input, ops::Extreme::kLargest);
      case Pooling::kMin:
        return ops::pool_extreme(hidden.last(), input, ops::Extreme::kSmallest);
      case Pooling::kLast:
        return ops::pool_last(hidden.last(), input);
      default:
        throw std::invalid_argument("a token pooler takes max, min or last");
    }
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  Pooling pooling_;
};

class AttentionPooler final : public LastStatePooler {
 public:
  explicit AttentionPooler(const Backbone& backbone) : LastStatePooler(backbone) {}

  void declare(ParameterDeclaration& declare) const override {
    declare.linear("pooling.dense", width(), width(), ComputeCopy::kYes);
    declare.norm("pooling.norm", width());
    declare.linear("pooling.score", 1, width(), ComputeCopy::kNo);
  }
  void bind(const ParameterStore& store) override {
    dense_ = find_linear(store, "pooling.dense");
    norm_ = find_linear(store, "pooling.norm");
    score_ = in_full_precision(find_linear(store, "pooling.score"));
  }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input,
                        const ForwardContext& context) const override {
    constexpr double kEpsilon = 1e-5;  // torch.nn.LayerNorm's
    const at::Tensor projected =
        ops::linear(hidden.last(), dense_.weight, dense_.bias, ops::Activation::kNone, context);
    const at::Tensor activated =
        ops::norm_activate(projected, norm_.weight, norm_.bias, kEpsilon, ops::Activation::kGelu, context);
    const at::Tensor scores = ops::linear(activated, score_.weight, score_.bias, ops::Activation::kNone, context);
    return ops::pool_softmax(hidden.last(), scores, input);
  }
  ops::BlockCosts costs(const PackOnRank& pack) const override {
    const std::int64_t rows = ops::fp32_bytes(pack.tokens, width());
    const std::int64_t in_compute_type = ops::kept_by_linear(pack.tokens, width(), pack);
    ops::BlockCosts costs;
    // The hidden states, with a copy where the type is another; what the norm keeps; the activation's input and output;
    // the weights of the rows.
    costs.kept = 3 * rows + ops::kept_by_norm(pack.tokens, width(), sizeof(float)) + ops::fp32_bytes(pack.tokens, 1);
    if (in_compute_type < rows) costs.kept += in_compute_type;
    costs.working_forward = in_compute_type;  // the first product
    costs.working_backward = 3 * rows;        // gradients of the hidden states, the norm's output and its input
    return costs;
  }

 private:
  LinearParameters dense_, score_;
  NormParameters norm_;
};

class LayerPooler final : public Pooler {
 public:
  LayerPooler(const HeadConfig& head, const Backbone& backbone)
      : first_(head.first_layer),
        num_states_(backbone.shape().num_layers - head.first_layer + 1),
        width_(backbone.shape().hidden_size),
        pooling_(head.layer_pooling) {
    if (first_ < 0 || num_states_ < 1) throw std::invalid_argument("weighted layers begin outside the model");
    if (pooling_ != Pooling::kCls && pooling_ != Pooling::kMean) {
      throw std::invalid_argument("weighted layers are pooled by cls or mean");
    }
  }

  void declare(ParameterDeclaration& declare) const override { declare.scales("pooling.layer_weights", num_states_); }
  void bind(const ParameterStore& store) override { weights_ = store.view("pooling.layer_weights"); }
  std::int64_t first_state() const override { return first_; }
  std::int64_t width() const override { return width_; }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input,
                        const ForwardContext& context) const override {
    // Both ways of pooling are linear, so each state is pooled before the sum: S rows are added instead of T.
    std::vector<at::Tensor> rows;
    for (const at::Tensor& state : hidden.states) {
      rows.push_back(pooling_ == Pooling::kMean ? ops::pool_mean(state, input) : ops::pool_cls(state, input));
    }
    return ops::weighted_mean(rows, weights_, context);
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  std::int64_t first_, num_states_, width_;
  Pooling pooling_;
  ParameterView weights_;
};

class ConcatenatedPooler final : public Pooler {
 public:
  ConcatenatedPooler(const HeadConfig& head, const Backbone& backbone)
      : first_(backbone.shape().num_layers - head.num_layers + 1),
        width_(head.num_layers * backbone.shape().hidden_size) {
    if (head.num_layers < 1 || first_ < 0) {
      throw std::invalid_argument("the head reads " + std::to_string(head.num_layers) +
                                  " hidden states, but there are " + std::to_string(backbone.shape().num_layers + 1));
    }
  }

  std::int64_t first_state() const override { return first_; }
  std::int64_t width() const override { return width_; }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input, const ForwardContext&) const override {
    std::vector<at::Tensor> rows;
    for (auto state = hidden.states.rbegin(); state != hidden.states.rend(); ++state) {
      rows.push_back(ops::pool_cls(*state, input));
    }
    return at::cat(rows, 1);
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  std::int64_t first_, width_;
};

}  // namespace

std::unique_ptr<Pooler> make_token_pooler(Pooling pooling, const Backbone& backbone) {
  return std::make_unique<TokenPooler>(pooling, backbone);
}

std::unique_ptr<Pooler> make_attention_pooler(const Backbone& backbone) {
  return std::make_unique<AttentionPooler>(backbone);
}

std::unique_ptr<Pooler> make_layer_pooler(const HeadConfig& head, const Backbone& backbone) {
  return std::make_unique<LayerPooler>(head, backbone);
}

std::unique_ptr<Pooler> make_concatenated_pooler(const HeadConfig& head, const Backbone& backbone) {
  return std::make_unique<ConcatenatedPooler>(head, backbone);
}

}  // namespace meshfold::models
