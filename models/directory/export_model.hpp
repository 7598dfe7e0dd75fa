#pragma once

#include <filesystem>

#include "models/networks/model.hpp"

namespace meshfold::models {

/// Writes `directory` (made new, atomically) so that AutoModelForSequenceClassification.from_pretrained loads it with
/// the same logits: config.json, model.safetensors, and the tokenizer files copied from `source`. A head that is
/// mean-pooled or reads several texts or features has no transformers class: then the backbone is written for
/// AutoModel, the head as head.safetensors, and config.json has no SequenceClassification architecture.
void export_model(const Model& model, const std::filesystem::path& source, const std::filesystem::path& directory);

}  // namespace meshfold::models
