#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace meshfold::jobs {

/// "2026-03-01T09:30:00Z": ISO 8601, whole seconds.
std::string utc_text(std::chrono::system_clock::time_point time);
std::string utc_now();

/// The inverse of utc_text; nullopt for any other text.
std::optional<std::chrono::system_clock::time_point> time_of_utc(const std::string& text);

/// "41 s", "12 min 05 s", "3 h 20 min", "2 d 4 h"; "n/a" if not finite.
std::string duration_text(double seconds);

}  // namespace meshfold::jobs
