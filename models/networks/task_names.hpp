#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "models/networks/model.hpp"

namespace meshfold::models {

/// The names of tasks, in options and files.
inline constexpr std::array<std::pair<const char*, Task>, 3> kTaskNames{{
    {"regression", Task::kRegression},
    {"classification", Task::kClassification},
    {"multi_label", Task::kMultiLabel},
}};

inline const char* name_of(Task task) {
  const auto found = std::ranges::find(kTaskNames, task, [](const auto& entry) { return entry.second; });
  if (found == kTaskNames.end()) throw std::invalid_argument("a head has an unknown task");
  return found->first;
}

/// Nothing for another name, as a file of a later version may hold.
inline std::optional<Task> task_named(std::string_view name) {
  const auto found =
      std::ranges::find(kTaskNames, name, [](const auto& entry) { return std::string_view(entry.first); });
  return found == kTaskNames.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace meshfold::models
