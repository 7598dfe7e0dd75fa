#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace meshfold::data {

/// A JSON file beside a tokenizer (tokenizer_config.json, tokenizer.json). Errors are InputErrors that name the file.
class TokenizerConfig {
 public:
  explicit TokenizerConfig(const std::filesystem::path& file);

  const nlohmann::json& json() const { return json_; }
  [[noreturn]] void refuse(const std::string& problem) const;

  /// The boolean `key` of `object` (or of the file itself); nothing if it is absent or null.
  std::optional<bool> flag(const nlohmann::json& object, const char* key) const;
  std::optional<bool> flag(const char* key) const { return flag(json_, key); }
  /// Replaces `token` by the special token `key`, written as a string or as an object with its `content`.
  void read_special(const char* key, std::string& token) const;
  std::optional<std::string> tokenizer_class() const;

 private:
  std::filesystem::path file_;
  nlohmann::json json_;
};

}  // namespace meshfold::data
