#include "models/networks/pooler.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>

#include "models/ops/linear.hpp"
#include "models/ops/norm.hpp"
#include "models/ops/pooling.hpp"

/// Parameters of the poolers that transformers' sequence classifiers lack are named `pooling.*`.
namespace meshfold::models {
namespace {

/// Reads the last hidden state alone.
class LastStatePooler : public Pooler {
 public:
  explicit LastStatePooler(const Backbone& backbone)
      : num_layers_(backbone.shape().num_layers), width_(backbone.shape().hidden_size) {}
  std::int64_t first_state() const override { return num_layers_; }
  std::int64_t width() const override { return width_; }

 private:
  std::int64_t num_layers_, width_;
};

/// As transformers' sequence classifiers: the first token, a dense layer, an activation. In fp32.
class ClsPooler final : public LastStatePooler {
 public:
  explicit ClsPooler(const Backbone& backbone) : LastStatePooler(backbone), config_(backbone.pooler()) {}

  void declare(const ParameterDeclaration& declare) const override {
    declare.linear(config_.name, {.role = Role::kPooler, .out = width(), .in = width(), .copy = ComputeCopy::kNo});
  }
  void bind(const ParameterStore& store) override { dense_ = in_full_precision(find_linear(store, config_.name)); }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input,
                        const ForwardContext& context) const override {
    const at::Tensor first = ops::dropout_rows(ops::pool_cls(hidden.last(), input),
                                               {config_.input_dropout, kPoolerInputSite}, input, context);
    return ops::linear(first, dense_, config_.activation, context);
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  static constexpr std::uint16_t kPoolerInputSite = 1;  // head dropout's site 0 is before the classifier

  PoolerConfig config_;
  Linear dense_;
};

/// Each column's mean, largest or smallest value over an input's tokens, or its last token. No parameters.
class TokenPooler final : public LastStatePooler {
 public:
  TokenPooler(Pooling pooling, const Backbone& backbone) : LastStatePooler(backbone), pooling_(pooling) {}

  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input, const ForwardContext&) const override {
    switch (pooling_) {
      case Pooling::kMean:
        return ops::pool_mean(hidden.last(), input);
      case Pooling::kMax:
        return ops::pool_extreme(hidden.last(), input, ops::Extreme::kLargest);
      case Pooling::kMin:
        return ops::pool_extreme(hidden.last(), input, ops::Extreme::kSmallest);
      case Pooling::kLast:
        return ops::pool_last(hidden.last(), input);
      default:
        throw std::invalid_argument("a token pooler takes mean, max, min or last");
    }
  }
  ops::BlockCosts costs(const PackOnRank&) const override { return {}; }

 private:
  Pooling pooling_;
};

/// Scores Linear(H, 1)(GELU(LayerNorm(Linear(H, H)(h)))), softmax over an input's tokens in fp32, sum of weight x h.
/// Parameters: pooling.dense, pooling.norm (epsilon 1e-5), pooling.score.
class AttentionPooler final : public LastStatePooler {
 public:
  explicit AttentionPooler(const Backbone& backbone) : LastStatePooler(backbone) {}

  void declare(const ParameterDeclaration& declare) const override {
    declare.linear("pooling.dense", {.role = Role::kPooler, .out = width(), .in = width()});
    declare.norm("pooling.norm", width(), Role::kPooler);
    declare.linear("pooling.score", {.role = Role::kPooler, .out = 1, .in = width(), .copy = ComputeCopy::kNo});
  }
  void bind(const ParameterStore& store) override {
    dense_ = find_linear(store, "pooling.dense");
    norm_ = find_norm(store, "pooling.norm", kEpsilon);
    score_ = in_full_precision(find_linear(store, "pooling.score"));
  }
  at::Tensor operator()(const HiddenStates& hidden, const PackedInput& input,
                        const ForwardContext& context) const override {
    const at::Tensor projected = ops::linear(hidden.last(), dense_, ops::Activation::kNone, context);
    const at::Tensor activated = ops::norm_activate(projected, norm_, ops::Activation::kGelu, context);
    const at::Tensor scores = ops::linear(activated, score_, ops::Activation::kNone, context);
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
  static constexpr double kEpsilon = 1e-5;  // torch.nn.LayerNorm's

  Linear dense_, score_;
  Norm norm_;
};

/// sum of w_l x h_l over the sum of w, for hidden states l = head.first_state .. L, then the first token or the mean
/// over tokens (head.layer_pooling). Parameter: pooling.layer_weights, one each at the start.
class LayerPooler final : public Pooler {
 public:
  LayerPooler(const HeadConfig& head, const Backbone& backbone)
      : first_(head.first_state),
        num_states_(backbone.shape().num_layers - head.first_state + 1),
        width_(backbone.shape().hidden_size),
        pooling_(head.layer_pooling) {
    if (first_ < 0 || num_states_ < 1) throw std::invalid_argument("weighted layers begin outside the model");
    if (pooling_ != Pooling::kCls && pooling_ != Pooling::kMean) {
      throw std::invalid_argument("weighted layers are pooled by cls or mean");
    }
  }

  void declare(const ParameterDeclaration& declare) const override {
    declare.scales("pooling.layer_weights", num_states_, Role::kPooler);
  }
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

/// The first token's vectors of the last head.num_layers hidden states side by side, the last one first.
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

QueryRows rows_read_by(const HeadConfig& head) {
  switch (head.pooling) {
    case Pooling::kCls:
    case Pooling::kConcatCls:
      return QueryRows::kFirst;
    case Pooling::kWeightedLayers:
      return head.layer_pooling == Pooling::kCls ? QueryRows::kFirst : QueryRows::kAll;
    case Pooling::kMean:
    case Pooling::kMax:
    case Pooling::kMin:
    case Pooling::kLast:
    case Pooling::kAttention:
      return QueryRows::kAll;
  }
  throw std::invalid_argument("a head has an unknown pooling");
}

std::unique_ptr<Pooler> make_pooler(const HeadConfig& head, const Backbone& backbone) {
  switch (head.pooling) {
    case Pooling::kCls:
      return std::make_unique<ClsPooler>(backbone);
    case Pooling::kMean:
    case Pooling::kMax:
    case Pooling::kMin:
    case Pooling::kLast:
      return std::make_unique<TokenPooler>(head.pooling, backbone);
    case Pooling::kAttention:
      return std::make_unique<AttentionPooler>(backbone);
    case Pooling::kWeightedLayers:
      return std::make_unique<LayerPooler>(head, backbone);
    case Pooling::kConcatCls:
      return std::make_unique<ConcatenatedPooler>(head, backbone);
  }
  throw std::invalid_argument("a head has an unknown pooling");
}

}  // namespace meshfold::models
