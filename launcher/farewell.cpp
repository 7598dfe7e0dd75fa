#include "launcher/farewell.hpp"

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/error.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/error.hpp"

namespace meshfold::launcher {
namespace {

using nlohmann::json;

constexpr auto kMeeting = std::chrono::seconds(10);  // ranks that agreed on a failure are here within milliseconds
constexpr int kGroupTag = 32001;                     // no other group of the world is made with it

/// The user's own file and words need no rank; everything else says where it happened.
std::string line_of(const std::exception& error, const dist::Environment& mpi) {
  const bool has_place = mpi.size() > 1 && dynamic_cast<const jobs::ConfigError*>(&error) == nullptr;
  const std::string place = "rank " + std::to_string(mpi.rank()) + " on " + mpi.host_name() + ": ";
  return "meshfold: " + (has_place ? place : std::string()) + error.what();
}

void print(const std::string& line) {
  std::fflush(stdout);
  std::fprintf(stderr, "%s\n", line.c_str());
  std::fflush(stderr);
}

}  // namespace

Farewell::Farewell(dist::Environment& mpi) : mpi_(mpi) {
  std::vector<int> ranks(static_cast<std::size_t>(mpi.size()));
  std::iota(ranks.begin(), ranks.end(), 0);
  auto communicator = mpi.world()->create_group(ranks, kGroupTag, "farewell");
  communicator->set_deadline(kMeeting);
  everyone_ = dist::make_mpi_process_group(std::move(communicator), "farewell");
}

int Farewell::conclude(const std::exception& error, jobs::Console& console) {
  const std::string line = line_of(error, mpi_);
  const int code = static_cast<int>(jobs::exit_code_of(error));
  const bool is_own = dynamic_cast<const dist::PeerFailed*>(&error) == nullptr;
  console.log(line);
  try {
    const json mine = {{"own", is_own}, {"code", code}};
    const auto all = everyone_->all_gather_bytes(mine.dump());
    int speaker = 0, agreed = code;
    bool found = false;
    for (std::size_t rank = 0; rank < all.size() && !found; ++rank) {
      const json theirs = json::parse(all[rank]);
      found = theirs["own"].get<bool>();
      if (found || rank == 0) agreed = theirs["code"].get<int>();
      if (found) speaker = static_cast<int>(rank);
    }
    if (mpi_.rank() == speaker) print(line);
    return agreed;
  } catch (const std::exception&) {
    // Not everyone came. Ranks that missed the same peer come here together; the first one's abort silences the others.
    std::this_thread::sleep_for(std::chrono::milliseconds(std::min(2000, 100 * mpi_.rank())));
    print(line);
    dist::Environment::abort(code);
  }
}

}  // namespace meshfold::launcher
