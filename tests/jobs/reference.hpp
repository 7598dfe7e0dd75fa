#pragma once

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>

namespace meshfold::tests {

/// `<name>.json` of the oracle of that name: what other people's programs computed before this test.
inline const nlohmann::json& reference(const std::string& name) {
  static std::map<std::string, nlohmann::json> references;
  const auto [entry, is_new] = references.try_emplace(name);
  if (is_new) {
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    if (oracles == nullptr) throw std::runtime_error("MESHFOLD_ORACLES is not set; run this test through ctest");
    std::ifstream stream(std::filesystem::path(oracles) / name / (name + ".json"));
    entry->second = nlohmann::json::parse(stream);
  }
  return entry->second;
}

/// What tests/jobs/training_oracle.py computed with torch and transformers.
inline const nlohmann::json& training_reference() { return reference("training"); }

}  // namespace meshfold::tests
