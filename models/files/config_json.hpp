#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace meshfold::models {

/// config.json of a model directory, in the order of its keys. Only .cpp files of this folder include this header.
class ConfigJson {
 public:
  using Json = nlohmann::ordered_json;

  /// Reads `<directory>/config.json`; throws ModelFileError if it is missing or not a JSON object.
  explicit ConfigJson(const std::filesystem::path& directory);

  const Json& json() const { return json_; }
  Json& json() { return json_; }
  /// nullptr if the key is absent or null.
  const Json* find(const char* key) const;
  /// The typed value; ModelFileError that names the key where it has another type. Absent: nullopt.
  std::optional<std::string> text(const char* key) const;
  std::optional<std::int64_t> integer(const char* key) const;
  std::optional<double> number(const char* key) const;
  bool flag(const char* key) const;  ///< absent: false
  [[noreturn]] void fail(const std::string& problem_and_advice) const;

 private:
  std::filesystem::path file_;
  Json json_;
};

}  // namespace meshfold::models
