#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/durable_file.hpp"
#include "base/text.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"
#include "jobs/selftest/test_file.hpp"

namespace meshfold::jobs::selftest {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr double kSlowSeconds = 2;  // to be seen by another rank; attribute caches of NFS hold for 3 s and more
constexpr double kSlowSyncSeconds = 1;
constexpr const char* kShared =
    "give a directory on storage that all machines share (--dir, --run), not a local disk; on NFS let caches be short "
    "(mount with actimeo=3)";

std::string contents_of(const fs::path& file) {
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

/// Seconds until `file` holds `wanted`; before, it may be absent or hold `before`.
json wait_for(const fs::path& file, const std::string& wanted, const std::string& before,
              std::chrono::milliseconds patience) {
  const double start = steady_seconds();
  while (true) {
    const std::string contents = contents_of(file);
    const double waited = steady_seconds() - start;
    if (contents == wanted) return waited;
    if (!contents.empty() && contents != before) {
      throw StorageError(file.string() + ": has neither the old nor the new contents, so a rename is not at once");
    }
    if (waited > static_cast<double>(patience.count()) / 1000) {
      throw StorageError(file.string() + base::format(": is not seen %.3g s after another rank made it", waited));
    }
    std::this_thread::sleep_for(5ms);
  }
}

json timed_replace(const fs::path& file, const std::string& contents) {
  const double start = steady_seconds();
  base::replace_file(file, contents);
  return steady_seconds() - start;
}

/// The longest time of a step.
double longest(const std::vector<RankOutcome>& outcomes) {
  double most = 0;
  for (const auto& outcome : outcomes)
    most = std::max(most, outcome.value.is_number() ? outcome.value.get<double>() : 0);
  return most;
}

/// The steps of the check: each is done by some ranks and must succeed before the next.
class Exchange {
 public:
  explicit Exchange(const Context& context) : context_(context) {}

  /// `part` runs on the ranks where `mine`; false after a fault.
  bool step(bool mine, const std::string& attempt, double& seconds, std::function<json()> part) {
    const auto outcomes = gather_bounded(context_.world, 2 * context_.patience,
                                         [mine, part = std::move(part)] { return mine ? part() : json(); });
    seconds = std::max(seconds, longest(outcomes));
    fault_ = fault_of(context_, outcomes, attempt, kShared);
    return !fault_;
  }
  const std::optional<Finding>& found_fault() const { return fault_; }

 private:
  const Context& context_;
  std::optional<Finding> fault_;
};

}  // namespace

Finding check_durable_files(const Context& context) {
  const bool is_first = context.rank() == 0;
  const fs::path shared = test_path(context, "shared"), own = test_path(context, std::to_string(context.rank()));
  const TestFile removed_shared(is_first ? shared : fs::path()), removed_own(own);
  const auto patience = context.patience;
  double write_s = 0, seen_s = 0;

  Exchange exchange(context);
  std::string before;
  for (const std::string contents : {"first contents", "second contents"}) {
    const bool is_seen = exchange.step(is_first, "write, sync and rename a file", write_s, [=] {
      return timed_replace(shared, contents);
    }) && exchange.step(!is_first, "read what rank 0 wrote", seen_s, [=] {
      return wait_for(shared, contents, before, patience);
    });
    if (!is_seen) return *exchange.found_fault();
    before = contents;
  }
  std::vector<fs::path> files;
  for (int rank = 1; rank < context.size(); ++rank) files.push_back(test_path(context, std::to_string(rank)));
  const bool is_seen = exchange.step(!is_first, "write, sync and rename a file", write_s, [=] {
    return timed_replace(own, "own");
  }) && exchange.step(is_first, "read what the other ranks wrote", seen_s, [=] {
    const double start = steady_seconds();
    for (const fs::path& file : files) wait_for(file, "own", "", patience);
    return json(steady_seconds() - start);
  });
  if (!is_seen) return *exchange.found_fault();

  std::string found = base::format("synced and renamed in at most %.0f ms", write_s * 1e3);
  if (context.size() > 1) found += base::format(", seen whole by all ranks within %.0f ms", seen_s * 1e3);
  Finding finding = ok(found);
  if (seen_s > kSlowSeconds) finding = combined(finding, warning(found + ", which is late", kShared));
  if (write_s > kSlowSyncSeconds) {
    finding = combined(
        finding, warning(found + ", which is slow",
                         "every checkpoint waits for the disk; take faster storage, or checkpoint.every_steps = 0"));
  }
  finding.figures = {{"sync and rename, s", write_s}, {"seen by others after, s", seen_s}};
  return finding;
}

}  // namespace meshfold::jobs::selftest
