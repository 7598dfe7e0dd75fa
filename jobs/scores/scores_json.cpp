#include "jobs/scores/scores_json.hpp"

#include <cmath>
#include <limits>
#include <string>

namespace meshfold::jobs {

nlohmann::json scores_to_json(const Scores& scores) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& [name, score] : scores) {
    list.push_back({name, std::isfinite(score) ? nlohmann::json(score) : nlohmann::json()});
  }
  return list;
}

Scores scores_from_json(const nlohmann::json& list) {
  Scores scores;
  for (const nlohmann::json& entry : list) {
    const nlohmann::json& value = entry.at(1);
    scores.emplace_back(entry.at(0).get<std::string>(),
                        value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>());
  }
  return scores;
}

}  // namespace meshfold::jobs
