#include "models/context/philox_tensors.hpp"

#include <ATen/ATen.h>

#include <vector>

namespace meshfold::models::ops::aten {
namespace {

constexpr std::int64_t kLowHalf = 0xFFFF;
constexpr int kHalf = 16;

/// High and low 32 bits.
struct WideProduct {
  at::Tensor high, low;
};

/// a x factor by halves of a, so that no product leaves the 63 bits of a positive int64.
WideProduct multiply(const at::Tensor& a, std::int64_t factor) {
  const at::Tensor of_low = a.bitwise_and(kLowHalf) * factor;
  const at::Tensor middle = a.bitwise_right_shift(kHalf) * factor + of_low.bitwise_right_shift(kHalf);
  return {middle.bitwise_right_shift(kHalf),
          middle.bitwise_and(kLowHalf).bitwise_left_shift(kHalf).bitwise_or(of_low.bitwise_and(kLowHalf))};
}

}  // namespace

PhiloxWords philox4x32_10(PhiloxWords counter, base::PhiloxKey key) {
  for (int round = 0; round < 10; ++round) {
    const WideProduct product0 = multiply(counter[0], 0xD2511F53), product1 = multiply(counter[2], 0xCD9E8D57);
    counter = {product1.high.bitwise_xor(counter[1]).bitwise_xor(std::int64_t{key.low}), product1.low,
               product0.high.bitwise_xor(counter[3]).bitwise_xor(std::int64_t{key.high}), product0.low};
    key.low += 0x9E3779B9u;
    key.high += 0xBB67AE85u;
  }
  return counter;
}

at::Tensor dropout_multipliers(base::PhiloxKey key, std::uint32_t step, base::DropoutThreshold threshold,
                               const at::Tensor& philox_rows, const at::Tensor& places, std::int64_t width) {
  const at::TensorOptions options = places.options();
  const PhiloxWords words = philox4x32_10({at::full({1}, std::int64_t{step}, options), philox_rows.unsqueeze(-1),
                                           places.unsqueeze(-1), at::arange((width + 7) / 8, options)},
                                          key);
  std::vector<at::Tensor> draws;
  for (const at::Tensor& word : words) {
    draws.push_back(word.bitwise_and(kLowHalf));
    draws.push_back(word.bitwise_right_shift(kHalf));
  }
  const at::Tensor kept = at::stack(draws, -1).flatten(-2).narrow(-1, 0, width).ge(std::int64_t{threshold.threshold});
  return kept.to(at::kFloat) * threshold.scale;
}

}  // namespace meshfold::models::ops::aten
