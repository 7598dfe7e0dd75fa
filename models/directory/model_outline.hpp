#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "models/directory/load_model.hpp"
#include "models/networks/backbone.hpp"
#include "models/networks/model.hpp"
#include "models/networks/stage_ranges.hpp"
#include "models/parameters/layout_map.hpp"

namespace meshfold::models {

class ConfigJson;
struct Architecture;

/// What config.json and the options alone say of a model: its shape and its parameters on any rank, without reading a
/// weight. What load_model fills with values.
class ModelOutline {
 public:
  /// Throws ModelFileError for a directory without a usable config.json, for a head that its layers cannot have, and
  /// where `options` name no head and the directory has none.
  ModelOutline(const std::filesystem::path& directory, const LoadOptions& options);
  ~ModelOutline();

  const ConfigJson& config() const { return *config_; }
  const Architecture& architecture() const { return architecture_; }
  /// The head that the directory itself has.
  const std::optional<HeadConfig>& head_on_disk() const { return head_on_disk_; }
  const HeadConfig& head() const { return head_; }
  const Backbone& backbone() const { return *backbone_; }

  /// The model, or a rank's part of it, on `layout.device` and without values. Throws LayoutError.
  std::unique_ptr<Model> make(const ModelLayout& layout) const;
  /// The rules in force on the tensor axis of `layout`, what they match in the whole model, and every fault: those of
  /// the map (LayoutMap::inspect), else the pieces that do not fit together.
  LayoutFindings inspect_layout(const ModelLayout& layout) const;

 private:
  LoadOptions options_;
  std::unique_ptr<const ConfigJson> config_;
  const Architecture& architecture_;
  std::optional<HeadConfig> head_on_disk_;
  HeadConfig head_;
  std::unique_ptr<const Backbone> backbone_;
};

}  // namespace meshfold::models
