#include "jobs/utc_time.hpp"

#include <cmath>
#include <ctime>

#include "base/text.hpp"

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
  if (whole < 60) return base::format(seconds < 10 ? "%.1f s" : "%.0f s", seconds);
  if (whole < 3600) return base::format("%ld min %02ld s", whole / 60, whole % 60);
  if (whole < 86400) return base::format("%ld h %02ld min", whole / 3600, whole / 60 % 60);
  return base::format("%ld d %ld h", whole / 86400, whole / 3600 % 24);
}

}  // namespace meshfold::jobs
