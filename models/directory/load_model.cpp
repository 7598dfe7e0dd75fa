#include <set>
#include <utility>

#include "models/directory/directory_head.hpp"
#include "models/directory/directory_tensors.hpp"
#include "models/directory/load_model.hpp"
#include "models/directory/model_outline.hpp"
#include "models/error.hpp"
#include "models/parameters/parameter_initialization.hpp"

namespace meshfold::models {

LoadedModel load_model(const std::filesystem::path& directory, const LoadOptions& options) {
  const ModelOutline outline(directory, options);
  const std::optional<HeadConfig>& head_on_disk = outline.head_on_disk();
  const HeadConfig& head = outline.head();
  DirectoryTensors tensors(directory, outline.architecture(), head_on_disk && has_own_file(*head_on_disk));

  LoadedModel loaded;
  const std::int64_t num_layers = outline.backbone().shape().num_layers;
  const double initializer_range = outline.backbone().initializer_range();
  loaded.model = outline.make(options.layout);
  ParameterStore& store = loaded.model->parameters();
  loaded.report = tensors.match(std::as_const(*loaded.model).declaration(), head, head_on_disk.value_or(HeadConfig{}));
  const std::set<std::string> fresh(loaded.report.initialized.begin(), loaded.report.initialized.end());
  if (!options.head && !fresh.empty()) {
    throw ModelFileError(
        (directory / "model.safetensors").string(),
        "lacks " + *fresh.begin() + ", though config.json describes a trained head; fetch the directory again");
  }
  const auto is_redrawn = [&](const Parameter& parameter) {
    return parameter.spec.is_in_layers(num_layers - options.reinit_layers, num_layers);
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
