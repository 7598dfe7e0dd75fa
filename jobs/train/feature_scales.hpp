#pragma once

#include <cstdint>
#include <span>

#include "data/dataset.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// The head with the mean and the standard deviation (over N) of each feature over the given rows: a job's training
/// rows, so that nothing of its validation or test rows can reach the model. fp64 sums in row order, so every rank gets
/// the same bits. A feature that is the same everywhere gets the scale 1.
models::HeadConfig with_feature_scales(models::HeadConfig head, const data::Dataset& dataset,
                                       std::span<const std::uint32_t> rows);

}  // namespace meshfold::jobs
