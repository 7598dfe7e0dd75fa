#pragma once

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace meshfold::tests {

/// What tests/jobs/training_oracle.py computed with torch, transformers and scikit-learn.
inline const nlohmann::json& training_reference() {
  static const nlohmann::json reference = [] {
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    if (oracles == nullptr) throw std::runtime_error("MESHFOLD_ORACLES is not set; run this test through ctest");
    std::ifstream stream(std::filesystem::path(oracles) / "training" / "training.json");
    return nlohmann::json::parse(stream);
  }();
  return reference;
}

}  // namespace meshfold::tests
