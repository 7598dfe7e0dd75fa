#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/networks/backbone.hpp"

namespace meshfold::models {

class ConfigJson;

/// Prefix of the names of our own poolers' tensors (pooler.cpp).
inline constexpr std::string_view kPoolingPrefix = "pooling.";

/// What the program must know of one kind of Hugging Face model, besides how it computes.
struct Architecture {
  std::string model_type;                        ///< in config.json
  std::string prefix;                            ///< of the backbone's tensors inside a sequence classifier: "bert."
  std::string backbone_class, classifier_class;  ///< transformers' classes
  std::string pooler;                            ///< of the classifier's pooling layer: "bert.pooler.dense"
  std::string classifier_dropout_key;            ///< of config.json: dropout before the classifier
  /// Prefixes of tensors that stand beside the backbone, which has none of its own in some files.
  std::vector<std::string> beside_backbone;
  /// Prefixes of full names that a file may hold and the model does not use: pre-training heads, buffers.
  std::vector<std::string> ignorable;
  /// Reads the sizes; throws ModelFileError for what is not supported.
  std::unique_ptr<Backbone> (*make_backbone)(const ConfigJson& config, const DropoutOverrides& dropout);

  /// A tensor's name inside the sequence classifier, from its name in a file: with the prefix, and norms as
  /// torch.nn.LayerNorm names them (gamma and beta come from TensorFlow checkpoints).
  std::string canonical_name(std::string name) const;
  bool is_ignorable(std::string_view canonical_name) const;
  bool is_pooler(std::string_view canonical_name) const;
};

/// The architecture that config.json's model_type names; ModelFileError that lists the supported ones.
const Architecture& architecture_of(const ConfigJson& config);

}  // namespace meshfold::models
