#include <gtest/gtest.h>

#include "dist/mpi_process_group.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/selftest.hpp"
#include "jobs/selftest/sums_check.hpp"
#include "tests/data/temporary_directory.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::jobs::selftest {
namespace {

using namespace std::chrono_literals;
using tests::rank_environment;

/// All ranks on a data axis, each said to be on a machine of its own ("node0", ...), and rank 0's directory for all.
class Selftest : public testing::Test {
 protected:
  Selftest()
      : world_(dist::make_mpi_process_group(rank_environment().world(), "world")),
        mesh_(rank_environment().world(), {world_->size(), 1, 1}, "selftest"),
        context_{rank_environment().world(),
                 *world_,
                 mesh_,
                 find_placement(0, *world_, "node"),
                 world_->broadcast_bytes(own_directory_.path().string(), 0),
                 10s} {
    for (int rank = 0; rank < world_->size(); ++rank) {
      context_.placement.ranks[static_cast<std::size_t>(rank)].host = "node" + std::to_string(rank);
    }
  }
  ~Selftest() override { world_->barrier(); }  // rank 0's directory stays until all are through

  int last() const { return world_->size() - 1; }
  bool is_last() const { return world_->rank() == last(); }
  std::string last_name() const { return "rank " + std::to_string(last()) + " on node" + std::to_string(last()); }

  TemporaryDirectory own_directory_;
  std::unique_ptr<dist::ProcessGroup> world_;
  dist::Mesh mesh_;
  Context context_;
};

TEST_F(Selftest, FindsNoFaultHereAndLeavesNoFileBehind) {
  dist::Watchdog watchdog(world_->rank());
  std::vector<Row> rows;

  run_checks(context_, all_checks(), watchdog, [&](const Row& row) { rows.push_back(row); });

  EXPECT_EQ(rows.size(), all_checks().size());
  for (const auto& [check, finding] : rows) {
    EXPECT_NE(finding.verdict, Verdict::kFault) << check << ": " << finding.found;
    EXPECT_FALSE(finding.found.empty()) << check;
  }
  world_->barrier();
  EXPECT_TRUE(std::filesystem::is_empty(context_.directory));
}

TEST_F(Selftest, NamesTheRankThatHasNoSuchDirectory) {
  const auto missing = context_.directory / "missing";
  if (is_last()) context_.directory = missing;

  const Finding finding = check_directory(context_);

  EXPECT_EQ(finding.verdict, Verdict::kFault);
  EXPECT_EQ(finding.code, ExitCode::kStorage);
  EXPECT_EQ(finding.found,
            last_name() + " could not write to the directory: " + missing.string() + ": there is no such directory");
}

TEST_F(Selftest, NamesADirectoryThatTakesNoFiles) {
  context_.directory = "/proc";  // also for root

  const Finding finding = check_directory(context_);

  EXPECT_EQ(finding.verdict, Verdict::kFault);
  EXPECT_NE(finding.found.find("rank 0 on node0 could not write to the directory: /proc/"), std::string::npos)
      << finding.found;
  EXPECT_NE(finding.found.find("on all ranks"), std::string::npos) << finding.found;
}

TEST_F(Selftest, SaysThatADirectoryIsNotTheSameOneForAllRanks) {
  context_.directory = own_directory_.path();
  context_.patience = 300ms;

  EXPECT_EQ(check_directory(context_).verdict, Verdict::kOk);
  const Finding finding = check_durable_files(context_);

  EXPECT_EQ(finding.verdict, Verdict::kFault);
  EXPECT_EQ(finding.code, ExitCode::kStorage);
  EXPECT_NE(finding.found.find("rank 1 on node1 could not read what rank 0 wrote"), std::string::npos) << finding.found;
  EXPECT_NE(finding.advice.find("storage that all machines share"), std::string::npos);
}

TEST_F(Selftest, SaysThatLocksDoNothingWhereEachRankHasAFileOfItsOwn) {
  context_.directory = own_directory_.path();

  const Finding finding = check_file_locks(context_);

  EXPECT_EQ(finding.verdict, Verdict::kWarning);
  EXPECT_NE(finding.found.find("fcntl locks do nothing: rank"), std::string::npos) << finding.found;
  EXPECT_NE(finding.found.find("flock locks do nothing: rank"), std::string::npos) << finding.found;
}

TEST_F(Selftest, SaysThatAClockIsAheadAndThatOneWasSet) {
  if (is_last()) {
    context_.wall_clock = [] { return wall_seconds() + 3600; };
    context_.wall_at_start = wall_seconds() - 2;  // 3602 s behind what it says now
  }

  const Finding finding = check_clock(context_);

  const std::string host = "node" + std::to_string(last());
  EXPECT_EQ(finding.verdict, Verdict::kWarning);
  EXPECT_NE(finding.found.find("the clock of " + host + " is 3600.0 s ahead of node0's"), std::string::npos)
      << finding.found;
  EXPECT_NE(finding.found.find("the clock of " + host + " moved 3602.0 s forward"), std::string::npos) << finding.found;
}

/// Passes everything on, but a sum of many values comes out with one wrong bit.
class WrongSum final : public dist::ProcessGroup {
 public:
  explicit WrongSum(dist::ProcessGroup& inner) : inner_(inner) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  const std::string& name() const override { return inner_.name(); }
  std::unique_ptr<dist::Work> all_reduce(at::Tensor tensor, dist::ReduceOp op) override {
    struct Flip final : dist::Work {
      void wait() override {
        inner->wait();
        reinterpret_cast<std::uint32_t*>(tensor.data_ptr<float>())[8] ^= 1U;
      }
      std::unique_ptr<dist::Work> inner;
      at::Tensor tensor;
    };
    if (tensor.numel() < 10'000) return inner_.all_reduce(tensor, op);
    auto work = std::make_unique<Flip>();
    work->tensor = tensor;
    work->inner = inner_.all_reduce(tensor, op);
    return work;
  }
  std::unique_ptr<dist::Work> reduce_scatter(at::Tensor whole, std::span<const std::int64_t> rows) override {
    return inner_.reduce_scatter(whole, rows);
  }
  std::unique_ptr<dist::Work> all_gather_rows(at::Tensor whole, std::span<const std::int64_t> rows) override {
    return inner_.all_gather_rows(whole, rows);
  }
  std::unique_ptr<dist::Work> broadcast(at::Tensor tensor, int root) override { return inner_.broadcast(tensor, root); }
  std::vector<at::Tensor> all_gather(const at::Tensor& tensor) override { return inner_.all_gather(tensor); }
  std::vector<std::string> all_gather_bytes(const std::string& bytes) override {
    return inner_.all_gather_bytes(bytes);
  }
  std::string broadcast_bytes(const std::string& bytes, int root) override {
    return inner_.broadcast_bytes(bytes, root);
  }
  std::unique_ptr<dist::Work> send(at::Tensor tensor, int peer, int tag) override {
    return inner_.send(tensor, peer, tag);
  }
  std::unique_ptr<dist::Work> receive(at::Tensor tensor, int peer, int tag) override {
    return inner_.receive(tensor, peer, tag);
  }
  void barrier() override { inner_.barrier(); }
  std::uint64_t bytes_sent() const override { return inner_.bytes_sent(); }

 private:
  dist::ProcessGroup& inner_;
};

TEST_F(Selftest, FindsASingleWrongBitOfASumOnOneRank) {
  WrongSum wrong(mesh_.data());
  const std::vector<Axis> axes = {{"data", is_last() ? &wrong : &mesh_.data()}};

  const Finding finding = check_sums_over(context_, axes);

  EXPECT_EQ(finding.verdict, Verdict::kFault);
  EXPECT_EQ(finding.code, ExitCode::kBadNumbers);
  EXPECT_NE(finding.found.find("sums over the data axis are wrong on " + last_name() +
                               ": 1 of 20011 values are wrong; value 8 is "),
            std::string::npos)
      << finding.found;
}

}  // namespace
}  // namespace meshfold::jobs::selftest
