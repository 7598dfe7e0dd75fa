#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/networks/model.hpp"
#include "models/parameters/layer_rates.hpp"
#include "models/parameters/layout_map.hpp"

namespace meshfold::models {

/// What loading did, for the two lists that are printed.
struct LoadReport {
  std::vector<std::string> left_out;  ///< known pre-training heads and buffers of the file that the model does not use
  std::vector<std::string> initialized;  ///< tensors of the model that no file gives: drawn from the seed
};

struct LoadedModel {
  std::unique_ptr<Model> model;
  LoadReport report;
};

struct LoadOptions {
  std::optional<HeadConfig> head;  ///< absent: the directory's own head (a fine-tuned model); an error if it has none
  DropoutOverrides dropout;
  at::ScalarType compute_type = at::kFloat;
  std::uint32_t seed = 0;  ///< for freshly initialised tensors
  ModelLayout layout;      ///< of this rank; only its pieces are read
  Recompute recompute = Recompute::kNone;
  LayerRates rates;
  std::int64_t reinit_layers = 0;  ///< top layers that are drawn from the seed instead of read
};

/// Reads a Hugging Face directory: config.json, model.safetensors. Tensor names with or without the architecture's
/// prefix; LayerNorm.gamma / beta are weight / bias. Any missing or extra tensor beyond the report's lists, and any
/// shape or dtype mismatch, is a ModelFileError.
LoadedModel load_model(const std::filesystem::path& directory, const LoadOptions& options);

}  // namespace meshfold::models
