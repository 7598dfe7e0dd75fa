#include "jobs/utc_time.hpp"

#include <cmath>
#include <cstdio>
#include <ctime>

namespace meshfold::jobs {
namespace {

constexpr const char* kFormat = "%Y-%m-%dT%H:%M:%SZ";

}  // namespace

std::string utc_text(std::chrono::system_clock::time_point time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::strftime(text, sizeof text, kFormat, &utc);
  return text;
}

std::string utc_now() { return utc_text(std::chrono::system_clock::now()); }

std::optional<std::chrono::system_clock::time_point> time_of_utc(const std::string& text) {
  std::tm utc{};
  const char* end = strptime(text.c_str(), kFormat, &utc);
  if (end == nullptr || *end != '\0') return std::nullopt;
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::string duration_text(double seconds) {
  if (!std::isfinite(seconds)) return "n/a";
  const long whole = std::lround(seconds);
  char text[48];
  if (whole < 60) {
    std::snprintf(text, sizeof text, seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof text, "%ld min %02ld s", whole / 60, whole % 60);
  } else if (whole < 86400) {
    std::snprintf(text, sizeof text, "%ld h %02ld min", whole / 3600, whole / 60 % 60);
  } else {
    std::snprintf(text, sizeof text, "%ld d %ld h", whole / 86400, whole / 3600 % 24);
  }
  return text;
}

}  // namespace meshfold::jobs
