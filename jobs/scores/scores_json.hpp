#pragma once

#include <nlohmann/json.hpp>

#include "jobs/scores/metrics.hpp"

namespace meshfold::jobs {

/// [[name, value], ...]: an object would lose the order, and the first score is the one that selects. An undefined
/// score is null.
nlohmann::json scores_to_json(const Scores& scores);
/// Throws nlohmann::json::exception for anything else.
Scores scores_from_json(const nlohmann::json& list);

}  // namespace meshfold::jobs
