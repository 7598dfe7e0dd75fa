#include <algorithm>
#include <optional>

#include "base/durable_file.hpp"
#include "base/text.hpp"
#include "data/dataset.hpp"
#include "data/dataset_writer.hpp"
#include "jobs/prepare/mpi_file_access.hpp"
#include "jobs/selftest/checks.hpp"
#include "jobs/selftest/rank_outcomes.hpp"
#include "jobs/selftest/test_file.hpp"

namespace meshfold::jobs::selftest {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr std::uint64_t kSamples = 8, kTokens = 1 << 17;  // a rank; of a sample: 4 MiB a rank
constexpr std::uint64_t kIdBytes = 8;                     // of a sample
constexpr const char* kAdvice =
    "take a directory on a file system that MPI-IO supports (Lustre, GPFS, BeeGFS, NFS with locks, a local disk), or "
    "try "
    "HDF5_USE_FILE_LOCKING=FALSE and another MPI-IO (mpirun --mca io romio321)";

std::int32_t token_at(std::uint64_t sample, std::uint64_t place) {
  return static_cast<std::int32_t>((sample * 7919 + place * 31) % 100'003);
}

std::string id_of(std::uint64_t sample) { return base::format("%08llu", static_cast<unsigned long long>(sample)); }

data::DatasetLayout layout_for(int ranks) {
  data::DatasetLayout layout;
  layout.num_samples = kSamples * static_cast<std::uint64_t>(ranks);
  layout.num_tokens = layout.num_samples * kTokens;
  layout.num_id_bytes = layout.num_samples * kIdBytes;
  layout.wide_tokens = true;
  layout.attributes = {{"source_hash", "selftest"}};
  return layout;
}

data::DatasetPart part_of(int rank) {
  data::DatasetPart part;
  part.first_sample = kSamples * static_cast<std::uint64_t>(rank);
  part.first_token = part.first_sample * kTokens;
  part.first_id_byte = part.first_sample * kIdBytes;
  part.lengths.assign(kSamples, kTokens);
  part.pair_starts.assign(kSamples, 0);
  for (std::uint64_t sample = part.first_sample; sample < part.first_sample + kSamples; ++sample) {
    part.ids.push_back(id_of(sample));
    for (std::uint64_t place = 0; place < kTokens; ++place) part.tokens.push_back(token_at(sample, place));
  }
  return part;
}

/// Reads the samples of `rank` as training does and compares every value.
json read_back(const fs::path& file, int rank) {
  const auto dataset = data::Dataset::open(file);
  std::vector<std::int32_t> tokens(kTokens);
  const auto first = kSamples * static_cast<std::uint64_t>(rank);
  for (std::uint64_t sample = first; sample < first + kSamples; ++sample) {
    if (dataset.id(static_cast<std::uint32_t>(sample)) != id_of(sample) || dataset.length(sample) != kTokens) {
      throw StorageError(file.string() + ": sample " + std::to_string(sample) + " is not what rank " +
                         std::to_string(rank) + " wrote");
    }
    dataset.copy_tokens(sample, tokens.data());
    for (std::uint64_t place = 0; place < kTokens; ++place) {
      if (tokens[place] == token_at(sample, place)) continue;
      throw StorageError(file.string() + ": token " + std::to_string(place) + " of sample " + std::to_string(sample) +
                         " is " + std::to_string(tokens[place]) + ", but rank " + std::to_string(rank) + " wrote " +
                         std::to_string(token_at(sample, place)));
    }
  }
  return {};
}

}  // namespace

Finding check_hdf5(const Context& context) {
  const fs::path file = test_path(context, "dataset.h5");
  const TestFile removed(context.rank() == 0 ? file : fs::path());
  const int rank = context.rank(), size = context.size();
  const data::DatasetPart part = part_of(rank);
  std::optional<data::Hdf5Properties> access;
  std::optional<data::DatasetWriter> writer;
  std::optional<Finding> failed;
  // The calls are collective and cannot be polled: the watchdog bounds them, and names this check.
  const auto step = [&](const std::string& attempt, const std::function<void()>& act) {
    const auto outcomes = gather_outcomes(context.world, [&] {
      act();
      return json();
    });
    failed = fault_of(context, outcomes, attempt, kAdvice);
    return !failed;
  };

  const double start = steady_seconds();
  const bool is_written = step("create a file with all ranks",
                               [&] {
                                 access.emplace(make_mpi_file_access(*context.communicator));
                                 writer.emplace(file, layout_for(size), access->get());
                               }) &&
                          step("write its part of the file", [&] { writer->write(part); }) &&
                          step("close the file", [&] { writer->close(); }) &&
                          step("sync the file", [&] { base::sync_file(file); });
  const double seconds = steady_seconds() - start;
  if (!is_written || !step("read what its neighbour wrote", [&] { read_back(file, (rank + 1) % size); }))
    return *failed;

  const double speed = static_cast<double>(layout_for(size).num_tokens) * 4 / 1e6 / seconds;
  Finding finding = ok(base::format("%.0f MB written together and read back right, %.0f MB/s with sync",
                                    static_cast<double>(layout_for(size).num_tokens) * 4 / 1e6, speed));
  finding.figures = {{"write, MB/s", speed}};
  return finding;
}

}  // namespace meshfold::jobs::selftest
