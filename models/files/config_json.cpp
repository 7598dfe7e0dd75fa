#include "models/files/config_json.hpp"

#include <fstream>

#include "models/error.hpp"

namespace meshfold::models {

ConfigJson::ConfigJson(const std::filesystem::path& directory) : file_(directory / "config.json") {
  std::ifstream input(file_);
  if (!input) fail("cannot be read; a model directory holds config.json, model.safetensors and tokenizer files");
  try {
    json_ = Json::parse(input);
  } catch (const nlohmann::json::exception& error) {
    fail(std::string("is not JSON (") + error.what() + "); fetch the file again");
  }
  if (!json_.is_object()) fail("is no JSON object; fetch the file again");
}

const ConfigJson::Json* ConfigJson::find(const char* key) const {
  const auto found = json_.find(key);
  return found == json_.end() || found->is_null() ? nullptr : &*found;
}

std::optional<std::string> ConfigJson::text(const char* key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_string()) fail(std::string("key '") + key + "' must be a string");
  return value->get<std::string>();
}

std::optional<std::int64_t> ConfigJson::integer(const char* key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_number_integer()) fail(std::string("key '") + key + "' must be an integer");
  return value->get<std::int64_t>();
}

std::optional<double> ConfigJson::number(const char* key) const {
  const Json* value = find(key);
  if (!value) return std::nullopt;
  if (!value->is_number()) fail(std::string("key '") + key + "' must be a number");
  return value->get<double>();
}

bool ConfigJson::flag(const char* key) const {
  const Json* value = find(key);
  if (value && !value->is_boolean()) fail(std::string("key '") + key + "' must be true or false");
  return value && value->get<bool>();
}

void ConfigJson::fail(const std::string& problem_and_advice) const {
  throw ModelFileError(file_.string(), problem_and_advice);
}

}  // namespace meshfold::models
