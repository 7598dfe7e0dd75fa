#include "models/bert.hpp"

#include <ATen/ATen.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "models/ops/ops.hpp"

namespace meshfold::models {
namespace {

/// What one block multiplies or scales by.
struct LinearParameters {
  ParameterView weight, bias;
};
using NormParameters = LinearParameters;

struct LayerParameters {
  LinearParameters query_key_value, attention_output, intermediate, output;
  NormParameters attention_norm, output_norm;
};

std::string layer_prefix(std::int64_t layer) { return "bert.encoder.layer." + std::to_string(layer) + "."; }

/// Declares the parameters in order.
class Declaration {
 public:
  explicit Declaration(ParameterStore& store) : store_(store) {}

  void weight(const std::string& name, std::int64_t rows, std::int64_t columns, ComputeCopy copy) {
    add(name + ".weight", {rows, columns}, Decay::kYes, copy, Initializer::kNormal);
  }
  void bias(const std::string& name, std::int64_t size) {
    add(name + ".bias", {size}, Decay::kNo, ComputeCopy::kNo, Initializer::kZeros);
  }
  void linear(const std::string& name, std::int64_t out, std::int64_t in, ComputeCopy copy) {
    weight(name, out, in, copy);
    bias(name, out);
  }
  void norm(const std::string& name, std::int64_t size) {
    add(name + ".weight", {size}, Decay::kNo, ComputeCopy::kNo, Initializer::kOnes);
    bias(name, size);
  }

 private:
  void add(std::string name, std::vector<std::int64_t> shape, Decay decay, ComputeCopy copy, Initializer initializer) {
    store_.add({std::move(name), std::move(shape), {}, decay, copy, initializer});
  }

  ParameterStore& store_;
};

void declare_layer(Declaration& declare, const BertConfig& config, std::int64_t layer) {
  const std::string prefix = layer_prefix(layer);
  const std::int64_t hidden = config.hidden_size;
  const char* const projections[] = {"attention.self.query", "attention.self.key", "attention.self.value"};
  for (const char* name : projections) declare.weight(prefix + name, hidden, hidden, ComputeCopy::kYes);
  for (const char* name : projections) declare.bias(prefix + name, hidden);
  declare.linear(prefix + "attention.output.dense", hidden, hidden, ComputeCopy::kYes);
  declare.norm(prefix + "attention.output.LayerNorm", hidden);
  declare.linear(prefix + "intermediate.dense", config.intermediate_size, hidden, ComputeCopy::kYes);
  declare.linear(prefix + "output.dense", hidden, config.intermediate_size, ComputeCopy::kYes);
  declare.norm(prefix + "output.LayerNorm", hidden);
}

void declare_all(ParameterStore& store, const BertConfig& config, const HeadConfig& head) {
  Declaration declare(store);
  const std::string embeddings = "bert.embeddings.";
  declare.weight(embeddings + "word_embeddings", config.vocabulary_size, config.hidden_size, ComputeCopy::kNo);
  declare.weight(embeddings + "position_embeddings", config.max_positions, config.hidden_size, ComputeCopy::kNo);
  declare.weight(embeddings + "token_type_embeddings", config.num_segments, config.hidden_size, ComputeCopy::kNo);
  declare.norm(embeddings + "LayerNorm", config.hidden_size);
  for (std::int64_t layer = 0; layer < config.num_layers; ++layer) declare_layer(declare, config, layer);
  if (head.pooling == Pooling::kCls)
    declare.linear("bert.pooler.dense", config.hidden_size, config.hidden_size, ComputeCopy::kNo);
  declare.linear("classifier", static_cast<std::int64_t>(head.labels.size()), config.hidden_size, ComputeCopy::kNo);
}

LinearParameters find_linear(const ParameterStore& store, const std::string& name) {
  return {store.view(name + ".weight"), store.view(name + ".bias")};
}

LayerParameters find_layer(const ParameterStore& store, std::int64_t layer) {
  const std::string prefix = layer_prefix(layer), self = prefix + "attention.self.";
  const std::vector<std::string> weights = {self + "query.weight", self + "key.weight", self + "value.weight"};
  const std::vector<std::string> biases = {self + "query.bias", self + "key.bias", self + "value.bias"};
  return {.query_key_value = {store.view(weights), store.view(biases)},
          .attention_output = find_linear(store, prefix + "attention.output.dense"),
          .intermediate = find_linear(store, prefix + "intermediate.dense"),
          .output = find_linear(store, prefix + "output.dense"),
          .attention_norm = find_linear(store, prefix + "attention.output.LayerNorm"),
          .output_norm = find_linear(store, prefix + "output.LayerNorm")};
}

/// Parameters that multiply in fp32 even when the model computes in bf16.
LinearParameters in_full_precision(LinearParameters parameters) {
  parameters.weight.compute = parameters.weight.value;
  return parameters;
}

class Bert final : public Model {
 public:
  Bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout, at::ScalarType compute_type);

  ParameterStore& parameters() override { return store_; }
  at::Tensor forward(const PackedInput& input, const ForwardContext& context) override;
  const HeadConfig& head() const override { return head_; }
  DropoutOverrides dropout() const override { return {hidden_dropout_, attention_dropout_}; }
  std::int64_t hidden_size() const override { return config_.hidden_size; }
  std::int64_t max_positions() const override { return config_.max_positions; }
  std::string description() const override;

 private:
  at::Tensor embeddings(const PackedInput& input, const ForwardContext& context) const;
  at::Tensor layer(const at::Tensor& hidden, std::int64_t index, const PackedInput& input,
                   const ForwardContext& context) const;
  at::Tensor outputs(const at::Tensor& hidden, const PackedInput& input, const ForwardContext& context) const;
  ops::DropoutSite hidden_dropout(std::int64_t site) const {
    return {hidden_dropout_, static_cast<std::uint16_t>(site)};
  }

  BertConfig config_;
  HeadConfig head_;
  double hidden_dropout_, attention_dropout_, head_dropout_;
  ParameterStore store_;
  ParameterView words_, positions_, segments_;
  NormParameters embedding_norm_;
  std::vector<LayerParameters> layers_;
  LinearParameters pooler_, classifier_;
};

Bert::Bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout,
           at::ScalarType compute_type)
    : config_(config),
      head_(head),
      hidden_dropout_(dropout.hidden.value_or(config.hidden_dropout)),
      attention_dropout_(dropout.attention.value_or(config.attention_dropout)),
      head_dropout_(head.dropout.value_or(config.classifier_dropout.value_or(hidden_dropout_))) {
  if (head.labels.empty()) throw std::invalid_argument("BERT: the head has no labels, so nothing to predict");
  declare_all(store_, config_, head_);
  store_.allocate(at::kCPU, compute_type);
  words_ = store_.view("bert.embeddings.word_embeddings.weight");
  positions_ = store_.view("bert.embeddings.position_embeddings.weight");
  segments_ = store_.view("bert.embeddings.token_type_embeddings.weight");
  embedding_norm_ = find_linear(store_, "bert.embeddings.LayerNorm");
  for (std::int64_t layer = 0; layer < config_.num_layers; ++layer) layers_.push_back(find_layer(store_, layer));
  if (head.pooling == Pooling::kCls) pooler_ = in_full_precision(find_linear(store_, "bert.pooler.dense"));
  classifier_ = in_full_precision(find_linear(store_, "classifier"));
}

at::Tensor Bert::embeddings(const PackedInput& input, const ForwardContext& context) const {
  return ops::embed(input, words_, positions_, segments_, embedding_norm_.weight, embedding_norm_.bias,
                    config_.layer_norm_epsilon, hidden_dropout(0), context);
}

at::Tensor Bert::layer(const at::Tensor& hidden, std::int64_t index, const PackedInput& input,
                       const ForwardContext& context) const {
  using ops::Activation;
  const LayerParameters& p = layers_[index];
  const double epsilon = config_.layer_norm_epsilon;
  const at::Tensor qkv =
      ops::linear(hidden, p.query_key_value.weight, p.query_key_value.bias, Activation::kNone, context);
  const at::Tensor mixed =
      ops::attention(qkv, config_.num_heads, {attention_dropout_, static_cast<std::uint16_t>(index)}, input, context);
  const at::Tensor projected =
      ops::linear(mixed, p.attention_output.weight, p.attention_output.bias, Activation::kNone, context);
  const at::Tensor attended = ops::add_norm(projected, hidden, p.attention_norm.weight, p.attention_norm.bias, epsilon,
                                            hidden_dropout(1 + 2 * index), input, context);
  const at::Tensor expanded =
      ops::linear(attended, p.intermediate.weight, p.intermediate.bias, config_.hidden_activation, context);
  const at::Tensor contracted = ops::linear(expanded, p.output.weight, p.output.bias, Activation::kNone, context);
  return ops::add_norm(contracted, attended, p.output_norm.weight, p.output_norm.bias, epsilon,
                       hidden_dropout(2 + 2 * index), input, context);
}

at::Tensor Bert::outputs(const at::Tensor& hidden, const PackedInput& input, const ForwardContext& context) const {
  using ops::Activation;
  const at::Tensor pooled = head_.pooling == Pooling::kCls ? ops::linear(ops::pool_cls(hidden, input), pooler_.weight,
                                                                         pooler_.bias, Activation::kTanh, context)
                                                           : ops::pool_mean(hidden, input);
  return ops::linear(ops::dropout_rows(pooled, {head_dropout_, 0}, input, context), classifier_.weight,
                     classifier_.bias, Activation::kNone, context);
}

at::Tensor Bert::forward(const PackedInput& input, const ForwardContext& context) {
  if (context.mode == Mode::kTraining && context.gradients == nullptr) {
    throw std::invalid_argument("BERT: training needs a gradient sink");
  }
  at::Tensor hidden = embeddings(input, context);
  for (std::int64_t index = 0; index < config_.num_layers; ++index) hidden = layer(hidden, index, input, context);
  return outputs(hidden, input, context);
}

/// 30522 as "30,522".
std::string with_thousands(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string Bert::description() const {
  return "BERT, " + std::to_string(config_.num_layers) + " layers x " + std::to_string(config_.hidden_size) + ", " +
         std::to_string(config_.num_heads) + " heads, vocabulary " + with_thousands(config_.vocabulary_size);
}

}  // namespace

std::unique_ptr<Model> make_bert(const BertConfig& config, const HeadConfig& head, const DropoutOverrides& dropout,
                                 at::ScalarType compute_type) {
  return std::make_unique<Bert>(config, head, dropout, compute_type);
}

}  // namespace meshfold::models
