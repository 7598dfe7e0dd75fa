#include <set>

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

}  // namespace

LoadedModel load_model(const std::filesystem::path& directory, const LoadOptions& options) {
  const ConfigJson config(directory);
  const Architecture& architecture = architecture_of(config);
  const std::optional<HeadConfig> own_head = read_own_head(config, architecture);
  const HeadConfig head = choose_head(directory, options, own_head);
  DirectoryTensors tensors(directory, architecture, own_head && is_own_head(*own_head));

  LoadedModel loaded;
  auto backbone = architecture.make_backbone(config, options.dropout);
  const double initializer_range = backbone->initializer_range();
  loaded.model = make_sequence_model(std::move(backbone), head, options.compute_type, options.layout,
                                     options.recompute);
  ParameterStore& store = loaded.model->parameters();
  loaded.report = tensors.match(store, head, own_head.value_or(HeadConfig{}));
  const std::set<std::string> fresh(loaded.report.initialized.begin(), loaded.report.initialized.end());
  if (!options.head && !fresh.empty()) {
    throw ModelFileError(
        (directory / "model.safetensors").string(),
        "lacks " + *fresh.begin() + ", though config.json describes a trained head; fetch the directory again");
  }
  for (const Parameter& parameter : store) {
    if (fresh.contains(parameter.spec.name)) {
      initialize_parameter(parameter, options.seed, initializer_range);
    } else {
      tensors.read(parameter);
    }
  }
  store.refresh_compute_copies();
  return loaded;
}

}  // namespace meshfold::models
