#include "models/sequence_model.hpp"

#include <stdexcept>

#include "models/head.hpp"

namespace meshfold::models {
namespace {

class SequenceModel final : public Model {
 public:
  SequenceModel(std::unique_ptr<Backbone> backbone, const HeadConfig& head, at::ScalarType compute_type)
      : backbone_(std::move(backbone)), head_(head, *backbone_) {
    ParameterDeclaration declaration(store_);
    backbone_->declare(declaration);
    head_.declare(declaration);
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
  std::unique_ptr<Backbone> backbone_;
  Head head_;
  ParameterStore store_;
};

at::Tensor SequenceModel::forward(const PackedInput& input, const ForwardContext& context) {
  if (context.mode == Mode::kTraining && context.gradients == nullptr) {
    throw std::invalid_argument("a model's training pass needs a gradient sink");
  }
  HiddenStates kept{head_.first_state(), {}};
  LayerStream stream = backbone_->embed(input, context);
  if (kept.first == 0) kept.states.push_back(stream.hidden);
  for (std::int64_t index = 0; index < backbone_->shape().num_layers; ++index) {
    stream = backbone_->layer(stream, index, input, context);
    if (index + 1 >= kept.first) kept.states.push_back(stream.hidden);
  }
  return head_.outputs(kept, input, context);
}

}  // namespace

std::unique_ptr<Model> make_sequence_model(std::unique_ptr<Backbone> backbone, const HeadConfig& head,
                                           at::ScalarType compute_type) {
  return std::make_unique<SequenceModel>(std::move(backbone), head, compute_type);
}

}  // namespace meshfold::models
