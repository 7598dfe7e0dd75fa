// The main of every test that runs on several ranks: GoogleTest on each rank, one verdict for all.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::tests {
namespace {

using namespace std::chrono_literals;

constexpr auto kDeadline = 60s;
// A rank that failed waits here while its peers run into their deadline; they must come before this one is reached.
constexpr auto kVerdictDeadline = kDeadline + 30s;

dist::Environment* environment = nullptr;

/// Makes the ranks agree after each test: a failure anywhere becomes a failure everywhere, and rank 0 tells the texts.
class RankVerdicts final : public testing::EmptyTestEventListener {
 public:
  explicit RankVerdicts(std::unique_ptr<dist::ProcessGroup> group) : group_(std::move(group)) {}

  int num_run() const { return num_run_; }

  void OnTestPartResult(const testing::TestPartResult& result) override {
    if (!result.failed() || collecting_) return;
    std::ostringstream text;
    text << (result.file_name() != nullptr ? result.file_name() : "unknown file") << ":" << result.line_number() << ": "
         << result.message() << "\n";
    own_failures_ += text.str();
    // An assertion or an exception left the test early: this rank may have skipped collectives that its peers entered.
    if (result.fatally_failed()) left_early_ = true;
  }

  void OnTestEnd(const testing::TestInfo& test) override {
    if (!test.result()->Skipped()) ++num_run_;
    const std::vector<std::string> reports = group_->all_gather_bytes((left_early_ ? "!" : ".") + own_failures_);
    collecting_ = true;
    bool out_of_step = false;
    for (int r = 0; r < group_->size(); ++r) {
      const std::string& report = reports[static_cast<std::size_t>(r)];
      out_of_step = out_of_step || report[0] == '!';
      if (r != group_->rank() && report.size() > 1) ADD_FAILURE() << "on rank " << r << ": " << report.substr(1);
    }
    collecting_ = false;
    own_failures_.clear();
    left_early_ = false;
    if (out_of_step) {
      if (group_->rank() == 0)
        std::puts("A rank left this test early, so the ranks may be out of step: no further tests.");
      GTEST_FLAG_SET(fail_fast, true);
    }
  }

 private:
  std::unique_ptr<dist::ProcessGroup> group_;
  std::string own_failures_;
  bool left_early_ = false, collecting_ = false;
  int num_run_ = 0;
};

int run_all_tests(int argc, char** argv) {
  dist::Environment mpi(argc, argv, kDeadline);
  environment = &mpi;
  testing::InitGoogleTest(&argc, argv);

  std::vector<int> everyone(static_cast<std::size_t>(mpi.size()));
  std::iota(everyone.begin(), everyone.end(), 0);
  auto verdict_ranks = mpi.world()->create_group(everyone, 0, "test verdicts");
  verdict_ranks->set_deadline(kVerdictDeadline);
  auto verdicts = std::make_unique<RankVerdicts>(dist::make_mpi_process_group(verdict_ranks, "test verdicts"));
  verdict_ranks.reset();

  auto& listeners = testing::UnitTest::GetInstance()->listeners();
  if (mpi.rank() != 0) delete listeners.Release(listeners.default_result_printer());
  listeners.Append(verdicts.get());
  int code = RUN_ALL_TESTS();
  listeners.Release(verdicts.get());

  if (verdicts->num_run() == 0) {
    if (mpi.rank() == 0) std::puts("No test ran on this number of ranks; that is a failure.");
    code = 1;
  }
  return code;
}

}  // namespace

dist::Environment& rank_environment() { return *environment; }

}  // namespace meshfold::tests

int main(int argc, char** argv) {
  try {
    return meshfold::tests::run_all_tests(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    meshfold::dist::Environment::abort(1);
  }
}
