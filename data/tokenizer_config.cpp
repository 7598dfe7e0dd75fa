#include "data/tokenizer_config.hpp"

#include <fstream>

#include "data/error.hpp"

namespace meshfold::data {

TokenizerConfig::TokenizerConfig(const std::filesystem::path& file) : file_(file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) refuse("cannot be opened");
  json_ = nlohmann::json::parse(stream, nullptr, false);
  if (!json_.is_object()) refuse("not a JSON object; fetch the model directory again");
}

void TokenizerConfig::refuse(const std::string& problem) const {
  throw InputError({file_.string(), {}, {}, ""}, problem);
}

std::optional<bool> TokenizerConfig::flag(const nlohmann::json& object, const char* key) const {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::nullopt;
  if (!found->is_boolean()) refuse(std::string("key '") + key + "' is not true or false");
  return found->get<bool>();
}

void TokenizerConfig::read_special(const char* key, std::string& token) const {
  const auto found = json_.find(key);
  if (found == json_.end() || found->is_null()) return;
  const auto& value = found->is_object() && found->contains("content") ? (*found)["content"] : *found;
  if (!value.is_string()) refuse(std::string("key '") + key + "' is not a token");
  token = value.get<std::string>();
}

std::optional<std::string> TokenizerConfig::tokenizer_class() const {
  const auto found = json_.find("tokenizer_class");
  if (found == json_.end() || !found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

}  // namespace meshfold::data
