#include "tests/dist/tensors_of_ranks.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <cstring>

#include "base/philox.hpp"
#include "dist/row_shards.hpp"

namespace meshfold::tests {

at::Tensor values_of(int rank, std::int64_t size, at::ScalarType type) {
  at::Tensor values = at::empty({size}, at::kDouble);
  auto* out = values.data_ptr<double>();
  const std::uint32_t magnitudes = type == at::kDouble ? 60 : 20;  // beyond the mantissa of the type
  for (std::int64_t i = 0; i < size; ++i) {
    const auto draws =
        base::philox4x32_10({static_cast<std::uint32_t>(i), 0, 0, 0}, {static_cast<std::uint32_t>(rank), 9});
    const double magnitude =
        at::isIntegralType(type, false) ? 1.0 : std::ldexp(1.0, static_cast<int>(draws[1] % magnitudes));
    out[i] = (static_cast<double>(draws[0] >> 8) - double{1 << 23}) * magnitude;
  }
  return values.to(type);
}

std::vector<at::Tensor> values_of_all(int ranks, std::int64_t size, at::ScalarType type) {
  std::vector<at::Tensor> all;
  for (int r = 0; r < ranks; ++r) all.push_back(values_of(r, size, type));
  return all;
}

bool same_bits(const at::Tensor& a, const at::Tensor& b) {
  return a.nbytes() == b.nbytes() && (a.nbytes() == 0 || std::memcmp(a.data_ptr(), b.data_ptr(), a.nbytes()) == 0);
}

std::vector<std::vector<std::int64_t>> ways_to_cut(std::int64_t rows, int ranks) {
  std::vector<std::int64_t> last(static_cast<std::size_t>(ranks), 0);
  last.back() = rows;
  std::vector<std::int64_t> unequal = dist::even_row_shards(rows, ranks);
  if (ranks > 1) {
    unequal[1] += unequal[0];
    unequal[0] = 0;
  }
  return {dist::even_row_shards(rows, ranks), last, unequal};
}

}  // namespace meshfold::tests
