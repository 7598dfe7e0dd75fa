#pragma once

#include <malloc.h>

#include <cstdint>
#include <fstream>
#include <functional>
#include <string>

namespace meshfold::models {

/// Growth of the process's largest resident size over its size before `work`, in bytes; -1 where the system does not
/// tell, or where AddressSanitizer keeps freed memory.
inline std::int64_t peak_growth(const std::function<void()>& work) {
#ifdef __SANITIZE_ADDRESS__
  work();
  return -1;
#else
  const auto kilobytes = [](const std::string& key) {
    std::ifstream status("/proc/self/status");
    std::string word;
    std::int64_t value = -1;
    while (status >> word) {
      if (word == key) status >> value;
    }
    return value;
  };
  malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";  // forget the largest size so far
  const std::int64_t before = kilobytes("VmRSS:");
  if (kilobytes("VmHWM:") > before + 1024) return -1;
  work();
  return (kilobytes("VmHWM:") - before) * 1024;
#endif
}

}  // namespace meshfold::models
