#pragma once

#include <chrono>
#include <string>

#include "base/text.hpp"

namespace meshfold::base {

/// Seconds of an option as a duration; a part of a millisecond is cut off.
inline std::chrono::milliseconds milliseconds_of(double seconds) {
  return std::chrono::milliseconds(static_cast<std::chrono::milliseconds::rep>(seconds * 1000));
}

/// "0.25 s", "600 s".
inline std::string seconds_text(std::chrono::milliseconds duration) {
  return format("%.3g s", static_cast<double>(duration.count()) / 1000.0);
}

}  // namespace meshfold::base
