#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "models/files/config_json.hpp"
#include "models/ops/problems/activation.hpp"

/// Values of a config.json that several architectures state alike. Each throws a ModelFileError that names the key.
/// Only .cpp files of this folder include this header.
namespace meshfold::models {

/// A size from 1 to 2^31 - 1; the key must be there.
std::int64_t required_size(const ConfigJson& config, const char* key);
/// In [0, 1); absent: nullopt.
std::optional<double> optional_probability(const ConfigJson& config, const char* key);
/// Between 0 and 1, both excluded.
double small_positive(const ConfigJson& config, const char* key, double fallback);
/// gelu, gelu_new, gelu_pytorch_tanh, relu or tanh; absent: gelu.
ops::Activation activation_of(const ConfigJson& config, const char* key);

}  // namespace meshfold::models
