#include "models/networks/sequence_model.hpp"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "dist/process_group.hpp"
#include "models/context/token_rows.hpp"
#include "models/error.hpp"
#include "models/networks/head.hpp"
#include "models/networks/pipeline_stage.hpp"
#include "models/networks/recomputed_layer.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/pooling.hpp"
#include "models/ops/problems/relative_slots.hpp"
#include "models/ops/tensor_parallel.hpp"

namespace meshfold::models {
namespace {

class SequenceModel final : public Model, public PipelineStage {
 public:
  SequenceModel(std::unique_ptr<Backbone> backbone, const HeadConfig& head, at::ScalarType compute_type,
                const ModelLayout& layout, Recompute recompute, const LayerRates& rates)
      : backbone_(std::move(backbone)),
        head_(head, *backbone_),
        tensor_(layout.tensor),
        tensor_rank_(layout.tensor_rank),
        tensor_ranks_(layout.tensor_ranks),
        recompute_(recompute),
        rates_(rates),
        range_(stage_ranges(backbone_->token_work(), num_layers(), layout.pipeline_ranks,
                            layout.stage_layers)[static_cast<std::size_t>(layout.pipeline_rank)]) {
    backbone_->declare({declared_, Region::kTokens});
    head_.declare({declared_, Region::kSamples});
    set_layer_rates(declared_, num_layers(), rates);
    cut(layout);
    for (const Parameter& parameter : declared_) {
      if (holds(range_, num_layers(), parameter.spec)) store_.add(parameter.spec);
    }
    store_.allocate(layout.device, compute_type);
    note_layer_begins();
    backbone_->bind(store_, range_);
    if (is_last()) head_.bind(store_);
  }

  ParameterStore& parameters() override { return store_; }
  const ParameterStore& declaration() const override { return declared_; }
  PipelineStage* stage() override { return this; }
  at::Tensor forward(const PackedInput& input, const ForwardContext& context) override;
  const HeadConfig& head() const override { return head_.config(); }
  DropoutOverrides dropout() const override { return backbone_->dropout(); }
  std::uint64_t input_cost(std::uint64_t length) const override { return backbone_->input_cost(length); }
  std::int64_t max_positions() const override { return backbone_->shape().max_positions; }
  std::string description() const override { return backbone_->description(); }

  bool is_first() const override { return range_.first == 0; }
  bool is_last() const override { return range_.end == num_layers(); }
  PackShape shape_of(const PackedInput& input) const override;
  std::vector<StreamPart> incoming(const PackShape& pack) const override {
    return is_first() ? std::vector<StreamPart>() : parts_before(range_.first, pack);
  }
  std::vector<StreamPart> outgoing(const PackShape& pack) const override {
    return is_last() ? std::vector<StreamPart>() : parts_before(range_.end, pack);
  }
  StageCosts costs(const PackShape& pack) const override;
  std::vector<at::Tensor> run(const PackedInput& input, const std::vector<at::Tensor>& received,
                              const ForwardContext& context) override;

 private:
  /// Hidden states as the pooler reads them, each this rank's rows of the tokens or [S, H] of first tokens, and the
  /// stream that goes on.
  struct Passing {
    LayerStream stream;
    std::vector<at::Tensor> kept;
  };

  std::int64_t num_layers() const { return backbone_->shape().num_layers; }
  std::int64_t hidden_size() const { return backbone_->shape().hidden_size; }
  void cut(const ModelLayout& layout);
  void note_layer_begins();
  at::Tensor tell_completion(const at::Tensor& hidden, std::int64_t layer, const ForwardContext& context) const;
  /// What of its hidden states goes to the head. On a tensor axis rows of tokens are cut among the ranks, so there it
  /// is all of them.
  QueryRows rows_for_head() const { return tensor_ranks_ == 1 ? head_.rows_read() : QueryRows::kAll; }
  /// What is computed of the result of a layer: nothing reads more of the last one than the head does.
  QueryRows rows_of(std::int64_t layer) const { return layer == num_layers() - 1 ? rows_for_head() : QueryRows::kAll; }
  /// Whether a hidden state has a graph in training: not below the lowest parameter that learns.
  bool learns(std::int64_t state) const { return !rates_.freeze_embeddings || state > rates_.freeze_lower_layers; }
  PackOnRank on_rank(const PackShape& pack) const {
    return {pack, token_rows(pack.tokens, tensor_rank_, tensor_ranks_).count, tensor_ranks_,
            static_cast<std::int64_t>(c10::elementSize(store_.compute_type()))};
  }
  std::vector<StreamPart> parts_before(std::int64_t layer, const PackShape& pack) const;
  ops::BlockCosts costs_of_layer(std::int64_t index, const PackOnRank& pack) const;
  Passing unpack(const std::vector<at::Tensor>& received, const PackedInput& input) const;
  at::Tensor outputs(const std::vector<at::Tensor>& kept, const PackedInput& input,
                     const ForwardContext& context) const;

  std::unique_ptr<Backbone> backbone_;
  Head head_;
  dist::ProcessGroup* tensor_;
  int tensor_rank_, tensor_ranks_;
  Recompute recompute_;
  LayerRates rates_;
  LayerRange range_;
  ParameterStore declared_;  ///< of all stages
  ParameterStore store_;
  std::vector<std::int64_t> layer_begins_;  ///< [layer] in the flat storage, of those in range_
};

/// Over the whole model, so that a rule is not said to match nothing because its parameters are another stage's.
void SequenceModel::cut(const ModelLayout& layout) {
  const std::vector<LayoutRule> own_rules = backbone_->layout();
  if (own_rules.empty() && layout.tensor_ranks > 1) {
    throw LayoutError("mesh.tensor = " + std::to_string(layout.tensor_ranks) + ": " + backbone_->description() +
                      " does not compute on a tensor axis yet; set mesh.tensor = 1");
  }
  LayoutMap(own_rules, layout.rules).cut(declared_, layout.tensor_rank, layout.tensor_ranks);
}

void SequenceModel::note_layer_begins() {
  layer_begins_.assign(static_cast<std::size_t>(num_layers()), store_.num_elements());
  for (const Parameter& parameter : store_) {
    if (!parameter.spec.layer) continue;
    std::int64_t& begin = layer_begins_[static_cast<std::size_t>(*parameter.spec.layer)];
    begin = std::min(begin, parameter.view.offset);
  }
}

/// `hidden` as the input of `layer`. When its gradient is there, the layer and all above it have given theirs: LibTorch
/// goes back in the reverse order of forward wherever it can choose, and parameters are declared in the order of use.
at::Tensor SequenceModel::tell_completion(const at::Tensor& hidden, std::int64_t layer,
                                          const ForwardContext& context) const {
  if (context.mode != Mode::kTraining || !hidden.requires_grad()) return hidden;
  const auto tell = [sink = context.gradients, first = layer_begins_[static_cast<std::size_t>(layer)]](
                        const at::Tensor& gradient) -> std::vector<at::Tensor> {
    sink->complete_from(first);
    return {gradient};
  };
  return ops::attach_backward(hidden.detach(), {hidden}, "LayerBegins", tell);
}

PackShape SequenceModel::shape_of(const PackedInput& input) const {
  const std::int64_t longest = ops::longest_input(input);
  return {input.num_tokens(), input.num_inputs(), longest, backbone_->relative_rows(longest)};
}

std::vector<StreamPart> SequenceModel::parts_before(std::int64_t layer, const PackShape& pack) const {
  const std::int64_t own_rows = on_rank(pack).own_rows;
  std::vector<StreamPart> parts = {{{own_rows, hidden_size()}, learns(layer)}};
  if (pack.relative_rows > 0) parts.push_back({{pack.relative_rows, hidden_size()}, !rates_.freeze_embeddings});
  const std::int64_t for_head = rows_for_head() == QueryRows::kFirst ? pack.inputs : own_rows;
  for (std::int64_t state = head_.first_state(); state < layer; ++state) {
    parts.push_back({{for_head, hidden_size()}, learns(state)});
  }
  return parts;
}

ops::BlockCosts SequenceModel::costs_of_layer(std::int64_t index, const PackOnRank& pack) const {
  ops::BlockCosts costs = backbone_->layer_costs(index, rows_of(index), pack);
  if (recompute_ == Recompute::kLayers) costs = recomputed_costs(costs, ops::fp32_bytes(pack.own_rows, hidden_size()));
  return learns(index + 1) ? costs : without_gradient(costs);
}

/// What run() does, block by block.
StageCosts SequenceModel::costs(const PackShape& shape) const {
  const PackOnRank pack = on_rank(shape);
  const std::int64_t hidden = ops::fp32_bytes(pack.own_rows, hidden_size());
  StageCosts costs;
  costs.stream = hidden + ops::fp32_bytes(pack.relative_rows, hidden_size());
  if (is_first()) {
    const ops::BlockCosts embeddings = backbone_->embedding_costs(pack);
    costs.blocks = learns(0) ? embeddings : without_gradient(embeddings);
  } else {
    costs.blocks.kept = costs.stream;
  }
  for (std::int64_t index = range_.first; index < range_.end; ++index) {
    costs.blocks = in_turn(costs.blocks, costs_of_layer(index, pack));
  }
  if (is_last()) {
    costs.blocks = in_turn(costs.blocks, head_.costs(pack));
    const std::int64_t num_states = num_layers() - head_.first_state() + 1;
    costs.blocks.sent_forward += num_states * ops::sent_by_gathering(hidden_size(), sizeof(float), pack);
  } else {
    costs.blocks.kept += hidden;
    costs.blocks.working_backward += costs.stream;
  }
  return costs;
}

SequenceModel::Passing SequenceModel::unpack(const std::vector<at::Tensor>& received, const PackedInput& input) const {
  const PackShape pack = shape_of(input);
  if (received.size() != parts_before(range_.first, pack).size())
    throw std::invalid_argument("a pipeline stage was given too few or many parts");
  Passing passing;
  auto next = received.begin();
  passing.stream.hidden = *next++;
  if (pack.relative_rows > 0) passing.stream.relative = *next++;
  passing.kept.assign(next, received.end());
  return passing;
}

at::Tensor SequenceModel::outputs(const std::vector<at::Tensor>& kept, const PackedInput& input,
                                  const ForwardContext& context) const {
  HiddenStates states{head_.first_state(), {}};
  if (rows_for_head() == QueryRows::kFirst) {
    states.states = kept;
    return head_.outputs(states, first_tokens(input), context);
  }
  for (const at::Tensor& own : kept) {
    states.states.push_back(ops::gather_rows(own, ops::Use::kAlike, at::kFloat, input, context));
  }
  return head_.outputs(states, input, context);
}

std::vector<at::Tensor> SequenceModel::run(const PackedInput& input, const std::vector<at::Tensor>& received,
                                           const ForwardContext& given) {
  ForwardContext context = given;
  context.tensor = tensor_;
  if (context.mode == Mode::kTraining && context.gradients == nullptr) {
    throw std::invalid_argument("a model's training pass needs a gradient sink");
  }
  // Below the lowest parameter that learns: the same draws, but no graph.
  ForwardContext frozen = context;
  if (context.mode == Mode::kTraining && rates_.freeze_embeddings) frozen.mode = Mode::kRehearsal;
  Passing passing = is_first() ? Passing{backbone_->embed(input, frozen), {}} : unpack(received, input);
  for (std::int64_t index = range_.first; index < range_.end; ++index) {
    if (index >= head_.first_state()) {
      const at::Tensor& hidden = passing.stream.hidden;
      passing.kept.push_back(rows_for_head() == QueryRows::kFirst ? ops::pool_cls(hidden, input) : hidden);
    }
    const ForwardContext& of_layer = index < rates_.freeze_lower_layers ? frozen : context;
    passing.stream.hidden = tell_completion(passing.stream.hidden, index, of_layer);
    passing.stream = recompute_ == Recompute::kLayers
                         ? recomputed_layer(*backbone_, passing.stream, index, rows_of(index), input, of_layer)
                         : backbone_->layer(passing.stream, index, rows_of(index), input, of_layer);
  }
  if (is_last()) {
    passing.kept.push_back(passing.stream.hidden);
    return {outputs(passing.kept, input, context)};
  }
  std::vector<at::Tensor> sent = {passing.stream.hidden};
  if (passing.stream.relative.defined()) sent.push_back(passing.stream.relative);
  sent.insert(sent.end(), passing.kept.begin(), passing.kept.end());
  return sent;
}

at::Tensor SequenceModel::forward(const PackedInput& input, const ForwardContext& context) {
  if (!is_first() || !is_last()) {
    throw std::logic_error("one stage of a pipeline cannot go forward by itself; load the whole model");
  }
  return run(input, {}, context).front();
}

}  // namespace

std::unique_ptr<Model> make_sequence_model(std::unique_ptr<Backbone> backbone, const HeadConfig& head,
                                           at::ScalarType compute_type, const ModelLayout& layout, Recompute recompute,
                                           const LayerRates& rates) {
  return std::make_unique<SequenceModel>(std::move(backbone), head, compute_type, layout, recompute, rates);
}

}  // namespace meshfold::models
