#include "dist/row_shards.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <string>

namespace meshfold::dist {

std::vector<std::int64_t> even_row_shards(std::int64_t count, int parts) {
  if (parts < 1 || count < 0) {
    throw std::invalid_argument(std::to_string(count) + " rows cannot be cut into " + std::to_string(parts) + " parts");
  }
  std::vector<std::int64_t> rows(static_cast<std::size_t>(parts), count / parts);
  std::fill_n(rows.begin(), count % parts, count / parts + 1);
  return rows;
}

std::int64_t first_row(std::span<const std::int64_t> rows, int rank) {
  return std::accumulate(rows.begin(), rows.begin() + rank, std::int64_t{0});
}

std::size_t elements_of_row(const at::Tensor& tensor) {
  return tensor.size(0) == 0 ? 0 : static_cast<std::size_t>(tensor.numel() / tensor.size(0));
}

void check_row_shards(const at::Tensor& whole, std::span<const std::int64_t> rows, int ranks, const char* operation) {
  const bool valid = whole.defined() && whole.dim() > 0 && rows.size() == static_cast<std::size_t>(ranks) &&
                     std::ranges::all_of(rows, [](std::int64_t count) { return count >= 0; }) &&
                     first_row(rows, ranks) == whole.size(0);
  if (!valid) {
    throw std::invalid_argument(std::string(operation) + ": the shards of " + std::to_string(ranks) +
                                " ranks do not add up to the rows of the tensor");
  }
}

}  // namespace meshfold::dist
