#pragma once

#include <filesystem>
#include <string>

#include "jobs/selftest/context.hpp"

namespace meshfold::jobs::selftest {

/// A file's name in context.directory that no other run has, the same on all ranks. Collective.
std::filesystem::path test_path(const Context& context, const std::string& name);

/// A file that is gone when this object goes; `path` empty: none.
class TestFile {
 public:
  explicit TestFile(std::filesystem::path path) : path_(std::move(path)) {}
  ~TestFile() {
    std::error_code ignored;
    if (!path_.empty()) std::filesystem::remove(path_, ignored);
  }
  TestFile(const TestFile&) = delete;
  TestFile& operator=(const TestFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace meshfold::jobs::selftest
