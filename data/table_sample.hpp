#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "data/table.hpp"

namespace meshfold::data {

/// `count` rows of `table` in their order, or the table itself if it has no more: those with the smallest draws of
/// `seed` (docs/numerics.md), after one row of each value of the `covered` columns, so that a sample of classes or
/// folds lacks none of them; there may be more than `count` of these. Messages keep the rows and lines of the file.
std::unique_ptr<const Table> sample_rows(std::unique_ptr<const Table> table, std::size_t count, std::uint32_t seed,
                                         std::span<const std::size_t> covered);

}  // namespace meshfold::data
