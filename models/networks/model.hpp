#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"
#include "models/parameters/parameter_store.hpp"

namespace meshfold::models {

class PipelineStage;

/// How the tokens of a text become one vector; pooler.cpp says how each computes.
enum class Pooling { kCls, kMean, kMax, kMin, kLast, kAttention, kWeightedLayers, kConcatCls };
enum class Task {
  kRegression,
  kClassification,  ///< one of several classes
  kMultiLabel,      ///< each label by itself: yes, no, or a probability
};

/// A number beside the text; the head reads (value - mean) / scale.
struct Feature {
  std::string name;
  double mean = 0.0, scale = 1.0;
};

/// The part on top of the backbone, and what its outputs mean.
struct HeadConfig {
  Task task = Task::kRegression;
  Pooling pooling = Pooling::kCls;
  std::vector<std::string>
      labels;  ///< target names (regression), class names or label names; their number is the output width
  std::optional<double>
      dropout;             ///< before the classifier; default: config.json's classifier_dropout, else hidden dropout
  std::int64_t views = 1;  ///< texts a sample; the classifier reads their pooled vectors side by side
  std::vector<Feature> features = {};  ///< behind them, in the order of the dataset
  std::int64_t first_state = 4;        ///< kWeightedLayers: the lowest hidden state that is read; 0 is the embeddings'
  Pooling layer_pooling = Pooling::kCls;  ///< kWeightedLayers: kCls or kMean, of the weighted sum
  std::int64_t num_layers = 4;            ///< kConcatCls: how many of the last hidden states
  std::int64_t dropout_samples = 1;       ///< masks before the classifier, over whose outputs the mean is taken
};

/// Overrides of config.json's probabilities.
struct DropoutOverrides {
  std::optional<double> hidden;
  std::optional<double> attention;
};

/// A network from packed inputs to one row of outputs a sample.
class Model {
 public:
  virtual ~Model() = default;
  virtual ParameterStore& parameters() = 0;
  /// The same store for readers. Not virtual, so that a model writes one accessor; an object behind a const reference
  /// is never made const.
  const ParameterStore& parameters() const { return const_cast<Model*>(this)->parameters(); }
  /// Every parameter of the whole model, with this tensor rank's boxes; declared only. On a pipeline `parameters()` are
  /// those of this stage, in the same order.
  virtual const ParameterStore& declaration() const { return parameters(); }
  /// The stage that this object computes; null: it is always whole, and forward() is all there is to it.
  virtual PipelineStage* stage() { return nullptr; }
  /// [samples, outputs] fp32: predictions (regression) or logits (classification: of a softmax; multi-label: of a
  /// sigmoid each). Differentiable in kTraining mode: backward through it reaches context.gradients. An input of zero
  /// samples gives [0, outputs]. Throws logic_error if the model is one stage of several.
  virtual at::Tensor forward(const PackedInput& input, const ForwardContext& context) = 0;
  virtual const HeadConfig& head() const = 0;
  /// The dropout probabilities in force, for the exported config.json; an absent one is the source directory's.
  virtual DropoutOverrides dropout() const { return {}; }
  /// What packs are cut by: see Backbone::input_cost.
  virtual std::uint64_t input_cost(std::uint64_t length) const = 0;
  virtual std::int64_t max_positions() const = 0;
  /// "BERT, 6 layers x 384, 12 heads, vocabulary 30,522", for people.
  virtual std::string description() const = 0;
};

/// What backward computes again instead of keeping it.
enum class Recompute {
  kNone,
  kLayers,  ///< each layer keeps only its input
};

}  // namespace meshfold::models
