#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "models/files/tensor_file.hpp"

namespace meshfold::models {

/// The files that hold the weights of a model directory, the first of these that is there: model.safetensors, the
/// shards that model.safetensors.index.json lists, pytorch_model.bin, the shards of pytorch_model.bin.index.json. Each
/// shard must hold exactly the tensors that the index says. Throws ModelFileError.
std::vector<std::shared_ptr<const TensorFile>> open_weight_files(const std::filesystem::path& directory);

}  // namespace meshfold::models
