#include "jobs/selftest/file_locks_check.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"
#include "jobs/selftest/test_file.hpp"

namespace meshfold::jobs::selftest {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kMount =
    "mount the file system with locks (NFS with lockd and without nolock, Lustre with -o flock), or set "
    "HDF5_USE_FILE_LOCKING=FALSE and never start two runs in one directory";

enum class Kind { kFcntl, kFlock };

/// A lock of a whole file that lasts as long as this object, if it was got.
class FileLock {
 public:
  FileLock(const fs::path& file, Kind kind) : descriptor_(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (descriptor_ < 0) throw StorageError(file.string() + ": open failed: " + std::strerror(errno));
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    const int outcome =
        kind == Kind::kFcntl ? ::fcntl(descriptor_, F_SETLK, &whole) : ::flock(descriptor_, LOCK_EX | LOCK_NB);
    const bool is_held = outcome != 0 && (errno == EAGAIN || errno == EACCES || errno == EWOULDBLOCK);
    result_ = outcome == 0 ? LockResult::kTaken : is_held ? LockResult::kRefused : LockResult::kUnsupported;
  }
  ~FileLock() { ::close(descriptor_); }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  LockResult result() const { return result_; }

 private:
  int descriptor_;
  LockResult result_ = LockResult::kNotTried;
};

/// One step of all ranks: those where `mine` try the lock, and `keep` holds it. Returns false after a fault.
bool try_lock(const Context& context, const fs::path& file, Kind kind, bool mine, std::vector<LockTrial>& trials,
              LockResult LockTrial::*when, std::shared_ptr<FileLock>* keep, std::optional<Finding>& failed) {
  // Shared with the thread that tries: a try that hangs may end after everything here is gone.
  const auto lock = std::make_shared<std::shared_ptr<FileLock>>();
  const auto outcomes = gather_bounded(context.world, context.patience, [=] {
    if (!mine) return json(static_cast<int>(LockResult::kNotTried));
    *lock = std::make_shared<FileLock>(file, kind);
    return json(static_cast<int>((*lock)->result()));
  });
  if (keep != nullptr) *keep = *lock;
  failed = fault_of(context, outcomes, "lock a file", kMount);
  if (failed) return false;
  for (std::size_t rank = 0; rank < trials.size(); ++rank) {
    const auto result = static_cast<LockResult>(outcomes[rank].value.get<int>());
    if (result != LockResult::kNotTried) trials[rank].*when = result;
  }
  return true;
}

Finding check_kind(const Context& context, Kind kind) {
  const std::string what = kind == Kind::kFcntl ? "fcntl" : "flock";
  const fs::path file = test_path(context, what);
  const TestFile removed(context.rank() == 0 ? file : fs::path());
  const bool is_first = context.rank() == 0, is_last = context.rank() == context.size() - 1;
  std::vector<LockTrial> trials(static_cast<std::size_t>(context.size()));
  std::optional<Finding> failed;
  {
    std::shared_ptr<FileLock> held;
    if (!try_lock(context, file, kind, is_first, trials, &LockTrial::while_held, &held, failed) ||
        !try_lock(context, file, kind, !is_first, trials, &LockTrial::while_held, nullptr, failed)) {
      return *failed;
    }
  }
  context.world.barrier();  // it is given back
  if (!try_lock(context, file, kind, is_last, trials, &LockTrial::after_release, nullptr, failed)) return *failed;
  return judge_locks(context, what, trials);
}

}  // namespace

Finding judge_locks(const Context& context, const std::string& what, std::span<const LockTrial> trials) {
  std::vector<int> intruders;
  for (std::size_t rank = 0; rank < trials.size(); ++rank) {
    const int number = static_cast<int>(rank);
    if (trials[rank].while_held == LockResult::kUnsupported || trials[rank].after_release == LockResult::kUnsupported) {
      return warning(what + " locks are not supported here, says the file system to " + name_of_rank(context, number),
                     kMount);
    }
    if (rank > 0 && trials[rank].while_held == LockResult::kTaken) intruders.push_back(number);
  }
  if (trials.front().while_held == LockResult::kRefused) {
    return fault(ExitCode::kStorage, "rank 0 could not take a " + what + " lock of a new file", kMount);
  }
  if (!intruders.empty()) {
    return warning(what + " locks do nothing: " + names_of_ranks(intruders) + " took a lock that rank 0 held", kMount);
  }
  if (trials.back().after_release == LockResult::kRefused) {
    return fault(ExitCode::kStorage,
                 "a " + what + " lock that rank 0 gave back is still refused to " +
                     name_of_rank(context, static_cast<int>(trials.size()) - 1),
                 kMount);
  }
  return ok(what + (trials.size() == 1 ? " locks are taken (that others are kept out shows on two ranks)"
                                       : " locks of one rank keep the others out and are given back"));
}

Finding check_file_locks(const Context& context) {
  return combined(check_kind(context, Kind::kFcntl), check_kind(context, Kind::kFlock));
}

}  // namespace meshfold::jobs::selftest
