#include "jobs/prepare/dataset_cache.hpp"

#include <ATen/ops/empty.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <optional>
#include <system_error>
#include <utility>

#include "base/durable_file.hpp"
#include "base/text.hpp"
#include "data/dataset_writer.hpp"
#include "data/error.hpp"
#include "data/pack.hpp"
#include "dist/agreement.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/error.hpp"
#include "jobs/prepare/dataset_recipe.hpp"
#include "jobs/prepare/mpi_file_access.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

/// Sums over the ranks of one part's sizes, and over those in front of this rank.
struct Totals {
  std::uint64_t tokens = 0, id_bytes = 0, tokens_before = 0, id_bytes_before = 0;
};

Totals sum_over_ranks(dist::ProcessGroup& world, const data::DatasetPart& part) {
  at::Tensor own = at::empty({2}, at::kLong);
  std::int64_t id_bytes = 0;
  for (const std::string& id : part.ids) id_bytes += static_cast<std::int64_t>(id.size());
  own.data_ptr<std::int64_t>()[0] = static_cast<std::int64_t>(part.tokens.size());
  own.data_ptr<std::int64_t>()[1] = id_bytes;
  const std::vector<at::Tensor> sizes = world.all_gather(own);

  Totals totals;
  for (int rank = 0; rank < world.size(); ++rank) {
    if (rank == world.rank()) totals.tokens_before = totals.tokens, totals.id_bytes_before = totals.id_bytes;
    const auto* size = sizes[static_cast<std::size_t>(rank)].data_ptr<std::int64_t>();
    totals.tokens += static_cast<std::uint64_t>(size[0]);
    totals.id_bytes += static_cast<std::uint64_t>(size[1]);
  }
  return totals;
}

/// One table on its way into one dataset file, with those who make it.
struct Preparation {
  const RunConfig& config;
  RunEnvironment& environment;
  dist::ProcessGroup& world;
  std::optional<DatasetRecipe> recipe;
};

/// Opens the table and the tokenizer on every rank, and checks that all ranks see the same bytes.
void open_inputs(Preparation& work, const fs::path& table, TableRole role) {
  dist::agree(work.world, "read " + table.string(), [&] { work.recipe.emplace(work.config, table, role); });
  const std::string first = work.world.broadcast_bytes(work.recipe->hash, 0);
  dist::agree(work.world, "compare " + table.string() + " between the ranks", [&] {
    if (work.recipe->hash == first) return;
    throw data::InputError({table.string(), {}, {}, {}},
                           "the table or the tokenizer of " + work.config.model.path +
                               " differs from what rank 0 reads; put both on shared storage");
  });
}

/// Rank 0 looks, everybody is told: ranks that see a network file system differently must not disagree.
bool find_in_cache(Preparation& work) {
  std::string answer;
  dist::agree(work.world, "look for " + work.recipe->file.string(), [&] {
    if (work.world.rank() == 0) answer = work.recipe->is_cached(work.environment.console) ? "cached" : "absent";
  });
  return work.world.broadcast_bytes(answer, 0) == "cached";
}

void write_parallel(const Preparation& work, const fs::path& temporary, const data::DatasetLayout& layout,
                    const data::DatasetPart& part) {
  // HDF5's collective calls and fsync cannot be polled: the watchdog bounds them.
  const dist::Watchdog::Phase phase(work.environment.watchdog, "write " + work.recipe->file.string(),
                                    work.environment.mpi.deadline());
  const data::Hdf5Properties access = make_mpi_file_access(*work.environment.mpi.world());
  std::optional<data::DatasetWriter> writer;
  dist::agree(work.world, "create " + temporary.string(), [&] { writer.emplace(temporary, layout, access.get()); });
  dist::agree(work.world, "write " + temporary.string(), [&] {
    writer->write(part);
    if (layout.has_groups && work.world.rank() == 0) writer->write_groups(work.recipe->table.group_names());
  });
  dist::agree(work.world, "close " + temporary.string(), [&] { writer->close(); });
  dist::agree(work.world, "sync " + temporary.string(), [&] { base::sync_file(temporary); });
  dist::agree(work.world, "commit " + work.recipe->file.string(), [&] {
    if (work.world.rank() == 0) base::rename_durably(temporary, work.recipe->file);
  });
}

/// Tokenizes this rank's share of the rows and writes the file together with the others.
void make_dataset(Preparation& work) {
  TextTable& table = work.recipe->table;
  data::DatasetPart part;
  dist::agree(work.world, "tokenize " + table.table().file().string(), [&] {
    table.scan();
    const auto shares = data::pack(table.text_bytes(), static_cast<std::size_t>(work.world.size()));
    const data::PackRange own = shares[static_cast<std::size_t>(work.world.rank())];
    part = table.tokenize(own.begin, own.end, *work.recipe->tokenizer);
  });

  const Totals totals = sum_over_ranks(work.world, part);
  part.first_token = totals.tokens_before;
  part.first_id_byte = totals.id_bytes_before;
  const data::DatasetLayout layout = work.recipe->layout(totals.tokens, totals.id_bytes);

  fs::path temporary = work.recipe->file;
  temporary +=
      ".tmp-" + work.world.broadcast_bytes(work.environment.mpi.host_name() + "-" + std::to_string(::getpid()), 0);
  dist::agree(work.world, "make the directory of " + work.recipe->file.string(), [&] {
    std::error_code error;
    if (work.world.rank() == 0) fs::create_directories(work.recipe->file.parent_path(), error);
    if (error) {
      throw StorageError(work.recipe->file.parent_path().string() + ": cannot be made: " + error.message() +
                         "; check free space, quota and permissions, or set data.cache to another directory");
    }
  });
  try {
    write_parallel(work, temporary, layout, part);
  } catch (...) {
    std::error_code ignored;
    if (work.world.rank() == 0) fs::remove(temporary, ignored);
    throw;
  }
}

std::string fixed(double value) {
  char text[48];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

}  // namespace

PreparedDataset prepare_dataset(const RunConfig& config, const fs::path& table, TableRole role,
                                RunEnvironment& environment) {
  const auto start = std::chrono::steady_clock::now();
  const auto group = dist::make_mpi_process_group(environment.mpi.world(), "world");
  Preparation work{config, environment, *group, std::nullopt};

  open_inputs(work, table, role);
  PreparedDataset prepared;
  prepared.file = work.recipe->file;
  prepared.from_cache = find_in_cache(work);
  if (!prepared.from_cache) make_dataset(work);

  dist::agree(work.world, "open " + work.recipe->file.string(), [&] {
    prepared.dataset = data::Dataset::open(work.recipe->file, config.data.read);
    prepared.class_names = class_names_of(prepared.dataset);
  });
  prepared.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return prepared;
}

std::string describe(const PreparedDataset& prepared, const std::string& table) {
  const auto& dataset = prepared.dataset;
  std::uint64_t tokens = 0, longest = 0;
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) {
    const std::uint64_t length = dataset.sample_length(row);
    tokens += length;
    longest = std::max(longest, length);
  }
  auto text = table + ": " + base::with_separators(dataset.num_samples()) + " rows";
  if (dataset.num_targets() > 0 && prepared.class_names.empty()) {
    text += ", " + std::to_string(dataset.num_targets()) + " targets";
  }
  if (dataset.views_per_sample() > 1) text += ", " + std::to_string(dataset.views_per_sample()) + " texts each";
  if (dataset.num_features() > 0) text += ", " + std::to_string(dataset.num_features()) + " features";
  if (!prepared.class_names.empty()) text += ", " + std::to_string(prepared.class_names.size()) + " classes";
  const auto rows = std::max<double>(1, dataset.num_samples());
  text += ", tokens mean " + fixed(static_cast<double>(tokens) / rows) + " max " + std::to_string(longest);
  return text + (prepared.from_cache ? " (tokenized before)" : " (tokenized in " + fixed(prepared.seconds) + " s)");
}

}  // namespace meshfold::jobs
