#include "models/files/weight_files.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "models/error.hpp"
#include "models/files/safetensors.hpp"
#include "models/files/torch_file.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Open = std::shared_ptr<const TensorFile> (*)(const fs::path& file);

std::shared_ptr<const TensorFile> open_safetensors(const fs::path& file) {
  return std::make_shared<SafetensorsFile>(SafetensorsFile::open(file));
}

std::shared_ptr<const TensorFile> open_torch(const fs::path& file) {
  return std::make_shared<TorchFile>(TorchFile::open(file));
}

/// Shard -> its tensors, sorted.
std::map<std::string, std::vector<std::string>> read_index(const fs::path& index) {
  std::map<std::string, std::vector<std::string>> shards;
  try {
    std::ifstream input(index);
    const Json json = Json::parse(input);
    for (const auto& [tensor, shard] : json.at("weight_map").items()) {
      shards[shard.get<std::string>()].push_back(tensor);
    }
  } catch (const Json::exception& error) {
    throw ModelFileError(index.string(), "needs a key weight_map from tensors to files (" + std::string(error.what()) +
                                             "); fetch the file again");
  }
  if (shards.empty()) throw ModelFileError(index.string(), "lists no tensors; fetch the file again");
  for (auto& [shard, tensors] : shards) {
    if (fs::path(shard).filename() != shard || shard == "..") {
      throw ModelFileError(index.string(), "names the file '" + shard + "', which is outside the directory");
    }
    std::sort(tensors.begin(), tensors.end());
  }
  return shards;
}

std::vector<std::shared_ptr<const TensorFile>> open_shards(const fs::path& index, Open open) {
  std::vector<std::shared_ptr<const TensorFile>> files;
  for (const auto& [shard, tensors] : read_index(index)) {
    files.push_back(open(index.parent_path() / shard));
    const std::vector<std::string> found = files.back()->names();
    std::vector<std::string> differing;
    std::ranges::set_symmetric_difference(found, tensors, std::back_inserter(differing));
    if (!differing.empty()) {
      throw ModelFileError(files.back()->path().string(), "and " + index.filename().string() + " differ in tensor '" +
                                                              differing.front() +
                                                              "'; they are of different models, fetch both again");
    }
  }
  return files;
}

}  // namespace

std::vector<std::shared_ptr<const TensorFile>> open_weight_files(const fs::path& directory) {
  const struct {
    const char* name;
    Open open;
  } kinds[] = {{"model.safetensors", open_safetensors}, {"pytorch_model.bin", open_torch}};
  for (const auto& [name, open] : kinds) {
    if (fs::exists(directory / name)) return {open(directory / name)};
    const fs::path index = directory / (std::string(name) + ".index.json");
    if (fs::exists(index)) return open_shards(index, open);
  }
  throw ModelFileError((directory / kinds[0].name).string(),
                       "is missing, and so is pytorch_model.bin; fetch the weights, or save the model with "
                       "save_pretrained");
}

}  // namespace meshfold::models
