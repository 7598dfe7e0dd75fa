#include "models/sequence_model.hpp"

#include <stdexcept>

#include "models/error.hpp"
#include "models/head.hpp"
#include "models/ops/tensor_parallel.hpp"
#include "models/recomputed_layer.hpp"

namespace meshfold::models {
namespace {

class SequenceModel final : public Model {
 public:
  SequenceModel(std::unique_ptr<Backbone> backbone, const HeadConfig& head, at::ScalarType compute_type,
                const ModelLayout& layout, Recompute recompute, const LayerRates& rates)
      : backbone_(std::move(backbone)),
        head_(head, *backbone_),
        tensor_(layout.tensor),
        recompute_(recompute),
        rates_(rates) {
    ParameterDeclaration of_backbone(store_, Region::kTokens), of_head(store_, Region::kSamples);
    backbone_->declare(of_backbone);
    set_layer_rates(store_, store_.size(), backbone_->shape().num_layers, rates);
    head_.declare(of_head);
    cut(layout);
    store_.allocate(at::kCPU, compute_type);
    backbone_->bind(store_);
    head_.bind(store_);
  }

  ParameterStore& parameters() override { return store_; }
  at::Tensor forward(const PackedInput& input, const ForwardContext& context) override;
  const HeadConfig& head() const override { return head_.config(); }
  DropoutOverrides dropout() const override { return backbone_->dropout(); }
  std::int64_t hidden_size() const override { return backbone_->shape().hidden_size; }
  std::int64_t max_positions() const override { return backbone_->shape().max_positions; }
  std::string description() const override { return backbone_->description(); }

 private:
  void cut(const ModelLayout& layout);
  /// A hidden state for the poolers, which see all rows.
  at::Tensor all_rows(const LayerStream& stream, const PackedInput& input, const ForwardContext& context) const {
    return ops::gather_rows(stream.hidden, ops::Use::kAlike, at::kFloat, input, context);
  }

  std::unique_ptr<Backbone> backbone_;
  Head head_;
  dist::ProcessGroup* tensor_;
  Recompute recompute_;
  LayerRates rates_;
  ParameterStore store_;
};

void SequenceModel::cut(const ModelLayout& layout) {
  const std::vector<LayoutRule> own_rules = backbone_->layout();
  if (own_rules.empty() && layout.tensor_ranks > 1) {
    throw LayoutError("mesh.tensor = " + std::to_string(layout.tensor_ranks) + ": " + backbone_->description() +
                      " does not compute on a tensor axis yet; set mesh.tensor = 1");
  }
  LayoutMap(own_rules, layout.rules).cut(store_, layout.tensor_rank, layout.tensor_ranks);
  for (const Parameter& parameter : store_) {
    if (parameter.spec.region == Region::kSamples && parameter.spec.sharded()) {
      throw LayoutError("layout: " + parameter.spec.name +
                        " belongs to the head, which every tensor rank computes whole; take its rule out");
    }
  }
}

at::Tensor SequenceModel::forward(const PackedInput& input, const ForwardContext& given) {
  ForwardContext context = given;
  context.tensor = tensor_;
  if (context.mode == Mode::kTraining && context.gradients == nullptr) {
    throw std::invalid_argument("a model's training pass needs a gradient sink");
  }
  // Below the lowest parameter that learns: the same draws, but no graph.
  ForwardContext frozen = context;
  if (context.mode == Mode::kTraining && rates_.freeze_embeddings) frozen.mode = Mode::kRehearsal;
  HiddenStates kept{head_.first_state(), {}};
  LayerStream stream = backbone_->embed(input, frozen);
  if (kept.first == 0) kept.states.push_back(all_rows(stream, input, context));
  for (std::int64_t index = 0; index < backbone_->shape().num_layers; ++index) {
    const ForwardContext& of_layer = index < rates_.freeze_lower_layers ? frozen : context;
    stream = recompute_ == Recompute::kLayers ? recomputed_layer(*backbone_, stream, index, input, of_layer)
                                              : backbone_->layer(stream, index, input, of_layer);
    if (index + 1 >= kept.first) kept.states.push_back(all_rows(stream, input, context));
  }
  return head_.outputs(kept, input, context);
}

}  // namespace

std::unique_ptr<Model> make_sequence_model(std::unique_ptr<Backbone> backbone, const HeadConfig& head,
                                           at::ScalarType compute_type, const ModelLayout& layout, Recompute recompute,
                                           const LayerRates& rates) {
  return std::make_unique<SequenceModel>(std::move(backbone), head, compute_type, layout, recompute, rates);
}

}  // namespace meshfold::models
