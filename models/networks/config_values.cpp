#include "models/networks/config_values.hpp"

#include <array>
#include <utility>

#include "base/text.hpp"

namespace meshfold::models {

std::int64_t required_size(const ConfigJson& config, const char* key) {
  const std::optional<std::int64_t> value = config.integer(key);
  if (!value) config.fail(std::string("lacks key '") + key + "'");
  constexpr std::int64_t kLargest = std::int64_t{1} << 31;  // keeps products of two sizes within 64 bits
  if (*value < 1 || *value >= kLargest) config.fail(std::string("key '") + key + "' must be a positive size");
  return *value;
}

std::optional<double> optional_probability(const ConfigJson& config, const char* key) {
  const std::optional<double> value = config.number(key);
  if (value && !(*value >= 0.0 && *value < 1.0)) config.fail(std::string("key '") + key + "' must be in [0, 1)");
  return value;
}

double small_positive(const ConfigJson& config, const char* key, double fallback) {
  const double value = config.number(key).value_or(fallback);
  if (!(value > 0.0 && value < 1.0)) config.fail(std::string("key '") + key + "' must be between 0 and 1");
  return value;
}

ops::Activation activation_of(const ConfigJson& config, const char* key) {
  static constexpr std::array<std::pair<const char*, ops::Activation>, 5> kNames{{
      {"gelu", ops::Activation::kGelu},
      {"gelu_new", ops::Activation::kGeluTanh},
      {"gelu_pytorch_tanh", ops::Activation::kGeluTanh},
      {"relu", ops::Activation::kRelu},
      {"tanh", ops::Activation::kTanh},
  }};
  const std::string wanted = config.text(key).value_or("gelu");
  for (const auto& [name, value] : kNames) {
    if (wanted == name) return value;
  }
  config.fail(std::string(key) + " '" + wanted +
              "' is not supported; supported: " + base::joined(kNames | std::views::keys));
}

}  // namespace meshfold::models
