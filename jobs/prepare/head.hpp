#pragma once

#include "data/dataset.hpp"
#include "jobs/config/run_config.hpp"
#include "jobs/prepare/dataset_cache.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// The head that the config asks for on this data; labels are the targets, or (classification) the class names.
/// Features have no statistics yet: those are a job's own. ConfigError unless loss.class_weights is empty or has one
/// value per class, and cv.metric is one of the head's scores.
models::HeadConfig head_of(const RunConfig& config, const PreparedDataset& prepared);

/// ConfigError unless the dataset has the texts and features that the head reads, in its order.
void check_inputs(const RunConfig& config, const models::HeadConfig& head, const data::Dataset& dataset);

}  // namespace meshfold::jobs
