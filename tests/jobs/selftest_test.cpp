#include "jobs/selftest/selftest.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "dist/error.hpp"
#include "dist/single_process_group.hpp"
#include "jobs/selftest/cgroup_limits.hpp"
#include "jobs/selftest/file_locks_check.hpp"
#include "jobs/selftest/limits_check.hpp"
#include "jobs/selftest/rank_outcomes.hpp"
#include "jobs/selftest/threads_check.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs::selftest {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

void write(const std::filesystem::path& file, const std::string& text) {
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

/// A run of one rank, as far as judging goes of several.
struct Bench {
  dist::SingleProcessGroup world;
  dist::Mesh mesh;
  TemporaryDirectory directory;
  Context context{nullptr, world, mesh, {{{"nodeA", {0, 1}}, {"nodeA", {0, 1}}}, {1, 1}}, directory.path(), 200ms};
};

TEST(CgroupLimits, AreTheSmallestOnTheWayToTheRootInVersionTwo) {
  const TemporaryDirectory root;
  write(root.path() / "membership", "0::/job/step\n");
  write(root.path() / "fs/job/step/cpu.max", "max 100000\n");
  write(root.path() / "fs/job/cpu.max", "150000 100000\n");
  write(root.path() / "fs/cpu.max", "800000 100000\n");
  write(root.path() / "fs/job/step/memory.max", "max\n");
  write(root.path() / "fs/job/memory.max", "2147483648\n");

  const CgroupLimits limits = read_cgroup_limits(root.path() / "fs", root.path() / "membership");

  EXPECT_EQ(limits.cpus, 1.5);
  EXPECT_EQ(limits.memory_bytes, 2 * kGiB);
}

TEST(CgroupLimits, OfVersionOneLieWithTheirControllers) {
  const TemporaryDirectory root;
  write(root.path() / "membership", "4:memory:/not/seen/here\n1:cpu:/job\n");
  write(root.path() / "fs/cpu/job/cpu.cfs_quota_us", "50000\n");
  write(root.path() / "fs/cpu/job/cpu.cfs_period_us", "100000\n");
  write(root.path() / "fs/memory/memory.limit_in_bytes", "1073741824\n");

  const CgroupLimits limits = read_cgroup_limits(root.path() / "fs", root.path() / "membership");

  EXPECT_EQ(limits.cpus, 0.5);
  EXPECT_EQ(limits.memory_bytes, kGiB);
}

TEST(CgroupLimits, AreAbsentWhereNoneIsSet) {
  const TemporaryDirectory root;
  write(root.path() / "membership", "4:memory:/\n1:cpu:/\n0::/\n");
  write(root.path() / "fs/cpu/cpu.cfs_quota_us", "-1\n");
  write(root.path() / "fs/cpu/cpu.cfs_period_us", "100000\n");
  write(root.path() / "fs/memory/memory.limit_in_bytes", "9223372036854771712\n");

  const CgroupLimits limits = read_cgroup_limits(root.path() / "fs", root.path() / "membership");

  EXPECT_FALSE(limits.cpus);
  EXPECT_FALSE(limits.memory_bytes);
}

struct SlowThreads {
  const char* name;
  Placement placement;
  std::vector<ThreadSpeed> speeds;
  std::vector<std::string> words, advice;
};

class SlowThreadsTest : public testing::TestWithParam<SlowThreads> {};

TEST_P(SlowThreadsTest, AreAWarningThatSaysWhyAndWhatToDo) {
  const Finding finding = judge_threads(GetParam().placement, GetParam().speeds);

  EXPECT_EQ(finding.verdict, Verdict::kWarning);
  for (const auto& words : GetParam().words) EXPECT_NE(finding.found.find(words), std::string::npos) << finding.found;
  for (const auto& words : GetParam().advice)
    EXPECT_NE(finding.advice.find(words), std::string::npos) << finding.advice;
}

INSTANTIATE_TEST_SUITE_P(Causes, SlowThreadsTest,
                         testing::Values(SlowThreads{"BoundToOneCore",
                                                     {{{"nodeA", {0, 1}}, {"nodeB", {3}}}, {2, 2}},
                                                     {{1.9, 2, {}}, {1.0, 2, {}}},
                                                     {"rank 1: 2 threads do the work of 1.0", "do not run in parallel",
                                                      "may run on 1 core only (3)"},
                                                     {"run.threads to 1", "--map-by slot:PE=2"}},
                                         SlowThreads{"RanksShareACore",
                                                     {{{"nodeA", {5}}, {"nodeA", {5}}}, {1, 1}},
                                                     {{0.5, 1, {}}, {0.5, 1, {}}},
                                                     {"ranks 0-1: 1 thread does the work of 0.5",
                                                      "ranks share cores 5, on which 2 threads take turns"},
                                                     {"start fewer ranks"}},
                                         SlowThreads{"Quota",
                                                     {{{"nodeA", {0, 1}}, {"nodeA", {2, 3}}}, {2, 2}},
                                                     {{1.0, 2, 2.0}, {1.0, 2, 2.0}},
                                                     {"the control group allows 2.0 CPUs for 4 threads on nodeA"},
                                                     {"--cpus-per-task"}},
                                         SlowThreads{"FewerThreadsThanAsked",
                                                     {{{"nodeA", {0, 1}}}, {2}},
                                                     {{1.9, 1, {}}},
                                                     {"LibTorch used 1 of them"},
                                                     {"OMP_THREAD_LIMIT"}},
                                         SlowThreads{"SomethingElseComputes",
                                                     {{{"nodeA", {0, 1}}}, {2}},
                                                     {{1.2, 2, {}}},
                                                     {"something else computes on nodeA"},
                                                     {"top"}}),
                         [](const auto& instance) { return instance.param.name; });

TEST(JudgeThreads, IsContentWithNearlyFullSpeed) {
  const Finding finding = judge_threads({{{"nodeA", {0, 1}}, {"nodeA", {2}}}, {2, 1}},
                                        std::vector<ThreadSpeed>{{1.8, 2, {}}, {0.9, 1, 3.0}});

  EXPECT_EQ(finding.verdict, Verdict::kOk) << finding.found;
  EXPECT_NE(finding.found.find("1 to 2 threads"), std::string::npos) << finding.found;
}

TEST(JudgeMemory, SharesAMachineAmongItsRanksAndTakesTheTightestLimit) {
  const Placement placement{{{"nodeA", {0}}, {"nodeA", {1}}, {"nodeB", {0}}}, {1, 1, 1}};

  const Finding roomy = judge_memory(placement, std::vector<MemoryRoom>(3, {64 * kGiB, 0, 0}));
  const Finding narrow =
      judge_memory(placement, std::vector<MemoryRoom>{{64 * kGiB, kGiB, 0}, {64 * kGiB, kGiB, 0}, {64 * kGiB, 0, 0}});
  const Finding limited =
      judge_memory(placement, std::vector<MemoryRoom>{{64 * kGiB, 0, 0}, {64 * kGiB, 0, 0}, {64 * kGiB, 0, kGiB / 2}});

  EXPECT_EQ(roomy.verdict, Verdict::kOk);
  EXPECT_NE(roomy.found.find("32.0 GiB a rank"), std::string::npos) << roomy.found;
  EXPECT_EQ(narrow.verdict, Verdict::kWarning);
  EXPECT_NE(narrow.found.find("0.5 GiB a rank, of the control group's limit of 1.0 GiB on nodeA"), std::string::npos)
      << narrow.found;
  EXPECT_NE(limited.found.find("ulimit -v), 0.5 GiB on nodeB"), std::string::npos) << limited.found;
}

TEST(JudgeLocks, SaysThatALockDoesNothing) {
  Bench bench;
  using enum LockResult;

  const Finding finding =
      judge_locks(bench.context, "fcntl", std::vector<LockTrial>{{kTaken, kNotTried}, {kTaken, kTaken}});

  EXPECT_EQ(finding.verdict, Verdict::kWarning);
  EXPECT_EQ(finding.found, "fcntl locks do nothing: rank 1 took a lock that rank 0 held");
  EXPECT_NE(finding.advice.find("HDF5_USE_FILE_LOCKING"), std::string::npos);
}

TEST(JudgeLocks, TellsUnsupportedAndUnreturnedLocksFromGoodOnes) {
  Bench bench;
  using enum LockResult;
  const auto verdict = [&](LockTrial first, LockTrial last) {
    return judge_locks(bench.context, "flock", std::vector<LockTrial>{first, last}).verdict;
  };

  EXPECT_EQ(verdict({kTaken, kNotTried}, {kRefused, kTaken}), Verdict::kOk);
  EXPECT_EQ(verdict({kUnsupported, kNotTried}, {kUnsupported, kUnsupported}), Verdict::kWarning);
  EXPECT_EQ(verdict({kTaken, kNotTried}, {kRefused, kRefused}), Verdict::kFault);
}

TEST(GatherBounded, FailsAPartThatHangs) {
  Bench bench;

  const auto outcomes = gather_bounded(bench.world, 50ms, [] {
    std::this_thread::sleep_for(1s);
    return nlohmann::json();
  });
  const auto finding = fault_of(bench.context, outcomes, "lock a file", "mount it with locks");

  ASSERT_TRUE(finding);
  EXPECT_EQ(finding->found,
            "rank 0 on nodeA could not lock a file: hangs: no answer from the file system within 0.05 s");
  EXPECT_EQ(finding->code, ExitCode::kStorage);
}

TEST(RunChecks, LeaveOutWhatWritesAfterAFaultOfTheDirectory) {
  Bench bench;
  bench.context.directory = bench.directory.path() / "missing";
  dist::Watchdog watchdog(0);
  std::vector<Row> rows;

  run_checks(bench.context, {{"directory", check_directory, false}, {"durable files", check_durable_files, true}},
             watchdog, [&](const Row& row) { rows.push_back(row); });

  ASSERT_EQ(rows.size(), 2U);
  EXPECT_NE(rows[0].finding.found.find("missing: there is no such directory"), std::string::npos)
      << rows[0].finding.found;
  EXPECT_EQ(rows[1].finding.found, "not tried, since the directory cannot be used");
  EXPECT_EQ(exit_code_of(rows), ExitCode::kStorage);
}

TEST(RunChecks, NameTheCheckInWhichAPeerWasLost) {
  Bench bench;
  dist::Watchdog watchdog(0);
  std::vector<Row> rows;
  const auto lose = [](const Context&) -> Finding { throw dist::PeerLost("a peer did not answer"); };

  EXPECT_THROW(run_checks(bench.context, {{"sums", lose, false}, {"clock", check_clock, false}}, watchdog,
                          [&](const Row& row) { rows.push_back(row); }),
               dist::PeerLost);

  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].check, "sums");
  EXPECT_EQ(rows[0].finding.verdict, Verdict::kFault);
  EXPECT_EQ(exit_code_of(rows), ExitCode::kPeerLost);
}

TEST(RunChecksDeathTest, EndTheProcessInACheckThatHangsAndNameIt) {
  testing::GTEST_FLAG(death_test_style) = "threadsafe";
  const auto run = [] {
    Bench bench;
    bench.context.longest_check = 100ms;
    dist::Watchdog watchdog(0);
    const auto hang = [](const Context&) -> Finding {
      std::this_thread::sleep_for(60s);
      return {};
    };
    run_checks(bench.context, {{"parallel HDF5", hang, false}}, watchdog, [](const Row&) {});
  };

  EXPECT_EXIT(run(), testing::ExitedWithCode(6), "no progress in 'selftest: parallel HDF5'");
}

TEST(Report, PutsAdviceBelowWhatWasFoundAndCountsWhatIsWrong) {
  const std::vector<Row> rows = {{"sums", ok("right")},
                                 {"threads", warning("slow", "bind them")},
                                 {"directory", fault(ExitCode::kStorage, "missing", "make it")},
                                 {"clock", fault(ExitCode::kBadNumbers, "wrong", "set it")}};

  EXPECT_EQ(lines_of(rows[0]), std::vector<std::string>{"  sums            ok       right"});
  EXPECT_EQ(lines_of(rows[1]),
            (std::vector<std::string>{"  threads         warning  slow", "                           -> bind them"}));
  EXPECT_EQ(summary_of(rows), "2 faults (directory, clock), 1 warning (threads)");
  EXPECT_EQ(exit_code_of(rows), ExitCode::kStorage) << "the first fault's";
  EXPECT_EQ(exit_code_of(std::vector<Row>{rows[0], rows[1]}), ExitCode::kDone);
}

}  // namespace
}  // namespace meshfold::jobs::selftest
