#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/durable_file.hpp"
#include "base/text.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"
#include "jobs/selftest/test_file.hpp"

namespace meshfold::jobs::selftest {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr double kGB = 1e9;
constexpr double kLeastFreeBytes = 2 * kGB;  // two checkpoints of a model of 100 million parameters

json try_directory(const fs::path& directory, const fs::path& file) {
  std::error_code error;
  const auto status = fs::status(directory, error);
  if (!fs::exists(status)) throw StorageError(directory.string() + ": there is no such directory");
  if (!fs::is_directory(status)) throw StorageError(directory.string() + ": is no directory");
  const TestFile removed(file);
  base::write_new_file(file, "x");
  struct statvfs room {};
  if (statvfs(directory.c_str(), &room) != 0) {
    throw StorageError(directory.string() + ": statvfs failed: " + std::strerror(errno));
  }
  return static_cast<double>(room.f_frsize) * static_cast<double>(room.f_bavail);
}

}  // namespace

Finding check_directory(const Context& context) {
  const fs::path file = test_path(context, "rank-" + std::to_string(context.rank()));
  const auto outcomes = gather_bounded(context.world, context.patience, [directory = context.directory, file] {
    return try_directory(directory, file);
  });
  if (auto failed =
          fault_of(context, outcomes, "write to the directory",
                   "give a directory that exists on all machines and that you may write to: --dir DIRECTORY")) {
    return *failed;
  }
  double free = outcomes.front().value;
  for (const auto& outcome : outcomes) free = std::min(free, outcome.value.get<double>());
  const std::string found =
      context.directory.string() + ": every rank writes to it, " + base::format("%.1f GB free", free / kGB);
  Finding finding = free >= kLeastFreeBytes ? ok(found)
                                            : warning(found + ", which two checkpoints may not fit",
                                                      "make room there, or take another directory");
  finding.figures = {{"free, bytes", free}};
  return finding;
}

}  // namespace meshfold::jobs::selftest
