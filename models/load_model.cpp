#include <set>
#include <utility>

#include "models/architecture.hpp"
#include "models/error.hpp"
#include "models/model_directory_head.hpp"
#include "models/model_directory_json.hpp"
#include "models/model_directory_tensors.hpp"
#include "models/sequence_model.hpp"

namespace meshfold::models {
namespace {

HeadConfig choose_head(const std::filesystem::path& directory, const LoadOptions& options,
                       const std::optional<HeadConfig>& own) {
  if (options.head) return *options.head;
  if (own) return *own;
  throw ModelFileError(
      (directory / "config.json").string(),
      "describes a backbone without a head, so it cannot predict; train one first or name the targets");
}

/// The head's layers must be the backbone's.
void check_layers(const ConfigJson& config, const HeadConfig& head, std::int64_t num_layers) {
  if (head.pooling == Pooling::kWeightedLayers && head.first_layer > num_layers) {
    config.fail("has " + std::to_string(num_layers) + " layers, but the weighted sum begins with hidden state " +
                std::to_string(head.first_layer) + "; set model.pooling_first_layer to one of 0 to " +
                std::to_string(num_layers));
  }
  if (head.pooling == Pooling::kConcatCls && head.num_layers > num_layers + 1) {
    config.fail("has " + std::to_string(num_layers) + " layers, so " + std::to_string(num_layers + 1) +
                " hidden states, but model.pooling_layers = " + std::to_string(head.num_layers));
  }
}

void check_frozen_and_new_layers(const ConfigJson& config, const LoadOptions& options, std::int64_t num_layers) {
  const std::int64_t frozen = options.rates.freeze_lower_layers, fresh = options.reinit_layers;
  if (frozen + fresh <= num_layers) return;
  config.fail("has " + std::to_string(num_layers) + " layers, but freeze.lower_layers = " + std::to_string(frozen) +
              " and model.reinit_layers = " + std::to_string(fresh) + " together are more; lower them");
}

}  // namespace

LoadedModel load_model(const std::filesystem::path& directory, const LoadOptions& options) {
  const ConfigJson config(directory);
  const Architecture& architecture = architecture_of(config);
  const std::optional<HeadConfig> own_head = read_own_head(config, architecture);
  const HeadConfig head = choose_head(directory, options, own_head);
  DirectoryTensors tensors(directory, architecture, own_head && is_own_head(*own_head));

  LoadedModel loaded;
  auto backbone = architecture.make_backbone(config, options.dropout);
  const std::int64_t num_layers = backbone->shape().num_layers;
  check_layers(config, head, num_layers);
  check_frozen_and_new_layers(config, options, num_layers);
  const double initializer_range = backbone->initializer_range();
  loaded.model = make_sequence_model(std::move(backbone), head, options.compute_type, options.layout, options.recompute,
                                     options.rates);
  ParameterStore& store = loaded.model->parameters();
  loaded.report = tensors.match(std::as_const(*loaded.model).declaration(), head, own_head.value_or(HeadConfig{}));
  const std::set<std::string> fresh(loaded.report.initialized.begin(), loaded.report.initialized.end());
  if (!options.head && !fresh.empty()) {
    throw ModelFileError(
        (directory / "model.safetensors").string(),
        "lacks " + *fresh.begin() + ", though config.json describes a trained head; fetch the directory again");
  }
  const auto is_redrawn = [&](const Parameter& parameter) {
    const auto layer = layer_of(parameter.spec.name);
    return layer && *layer >= num_layers - options.reinit_layers;
  };
  for (const Parameter& parameter : std::as_const(*loaded.model).declaration()) {
    if (is_redrawn(parameter)) loaded.report.initialized.push_back(parameter.spec.name);
  }
  for (const Parameter& parameter : store) {
    if (is_redrawn(parameter) || fresh.contains(parameter.spec.name)) {
      initialize_parameter(parameter, options.seed, initializer_range);
    } else {
      tensors.read(parameter);
    }
  }
  store.refresh_compute_copies();
  return loaded;
}

}  // namespace meshfold::models
