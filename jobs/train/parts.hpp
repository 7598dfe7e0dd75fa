#pragma once

#include "data/dataset.hpp"
#include "jobs/train/train_settings.hpp"

namespace meshfold::jobs {

/// Packs per step. training.parts = auto: the least multiple of the data ranks times the pipeline stages that keeps the
/// plan's largest step within max_tokens_per_pack, so that every stage has as many packs as there are stages.
/// Deterministic mode demands a power of two divisible by the data ranks (ConfigError).
int resolve_parts(const TrainingSection& training, const data::Dataset& dataset, int data_ranks, int stages = 1);

}  // namespace meshfold::jobs
