#include "models/parameters/parameter_initialization.hpp"

#include <ATen/core/Tensor.h>

#include <cmath>
#include <numbers>
#include <string_view>

#include "base/philox.hpp"

namespace meshfold::models {
namespace {

/// FNV-1a, 32 bits (Fowler, Noll, Vo).
constexpr std::uint32_t fnv1a(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const char character : text) hash = (hash ^ static_cast<unsigned char>(character)) * 16777619u;
  return hash;
}

/// The standard normals of one tensor, addressed by element. One Philox call gives two.
class NormalDraws {
 public:
  NormalDraws(std::uint32_t seed, std::string_view name)
      : key_(base::make_philox_key(seed, base::DrawPurpose::kParameterInitialization, 0, 0)), hash_(fnv1a(name)) {}

  double at(std::uint64_t element) const {
    const std::uint64_t pair = element / 2;
    const base::PhiloxDraws draws =
        base::philox4x32_10({hash_, static_cast<std::uint32_t>(pair), static_cast<std::uint32_t>(pair >> 32), 0}, key_);
    const double radius = std::sqrt(-2.0 * std::log(uniform(draws[0], draws[1])));
    const double angle = 2.0 * std::numbers::pi * uniform(draws[2], draws[3]);
    return radius * (element % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }

 private:
  /// In (0, 1], from the upper 53 of 64 bits.
  static double uniform(std::uint32_t high, std::uint32_t low) {
    const std::uint64_t bits = (std::uint64_t{high} << 32) | low;
    return static_cast<double>((bits >> 11) + 1) * 0x1.0p-53;
  }

  base::PhiloxKey key_;
  std::uint32_t hash_;
};

/// Row-major index in the global shape of the `local`-th element of the box.
std::uint64_t global_element(const ParameterSpec& spec, std::int64_t local) {
  std::uint64_t element = 0, stride = 1;
  for (std::size_t d = spec.global_shape.size(); d-- > 0;) {
    element += stride * static_cast<std::uint64_t>(spec.box.start[d] + local % spec.box.extent[d]);
    local /= spec.box.extent[d];
    stride *= static_cast<std::uint64_t>(spec.global_shape[d]);
  }
  return element;
}

}  // namespace

void initialize_parameter(const Parameter& parameter, std::uint32_t seed, double standard_deviation) {
  at::Tensor value = parameter.view.value;
  if (parameter.spec.initializer != Initializer::kNormal) {
    value.fill_(parameter.spec.initializer == Initializer::kOnes ? 1.0 : 0.0);
    return;
  }
  const NormalDraws draws(seed, parameter.spec.name);
  const at::Tensor host = value.is_cpu() ? value : value.cpu();
  float* elements = host.mutable_data_ptr<float>();
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < parameter.num_elements; ++i) {
    elements[i] = static_cast<float>(standard_deviation * draws.at(global_element(parameter.spec, i)));
  }
  if (!host.is_same(value)) value.copy_(host);
}

}  // namespace meshfold::models
