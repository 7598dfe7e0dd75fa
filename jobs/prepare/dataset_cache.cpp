#include "jobs/prepare/dataset_cache.hpp"

#include <ATen/ops/empty.h>
#include <unistd.h>
#include <xxhash.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <system_error>
#include <utility>

#include "data/dataset_format.hpp"
#include "data/dataset_writer.hpp"
#include "dist/durable_file.hpp"
#include "data/error.hpp"
#include "data/pack.hpp"
#include "data/tokenizer.hpp"
#include "dist/agreement.hpp"
#include "dist/mpi_process_group.hpp"
#include "jobs/error.hpp"
#include "jobs/prepare/mpi_file_access.hpp"
#include "jobs/prepare/text_table.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

std::string hex(XXH128_hash_t hash) {
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

/// Hash over everything that decides what the dataset file holds.
std::string content_hash(const TextTable& table, const data::Tokenizer& tokenizer, int max_length) {
  const std::string_view bytes = table.table().bytes();
  const std::string key = hex(XXH3_128bits(bytes.data(), bytes.size())) + '\n' + table.roles() + '\n' +
                          tokenizer.hash() + '\n' + std::to_string(max_length) + '\n' +
                          std::string(data::kDatasetFormatVersion);
  return hex(XXH3_128bits(key.data(), key.size()));
}

fs::path cache_directory(const RunConfig& config) {
  return config.data.cache.empty() ? fs::path(config.run.directory) / "data" : fs::path(config.data.cache);
}

data::Dataset::Read read_mode(const RunConfig& config) {
  return config.data.read == "memory" ? data::Dataset::Read::kMemory : data::Dataset::Read::kMapped;
}

/// The cached dataset if the file is there and whole; a damaged one is told about and made again.
bool is_cached(const fs::path& file, const std::string& hash, Console& console) {
  std::error_code ignored;
  if (!fs::exists(file, ignored)) return false;
  std::string problem;
  try {
    if (data::Dataset::open(file).source_hash() == hash) return true;
    problem = file.string() + ": it was made from other data than its name says";
  } catch (const data::InputError& error) {
    problem = error.what();
  } catch (const data::Hdf5Error& error) {
    problem = error.what();
  }
  console.warn("the cached dataset cannot be used and is made again: " + problem);
  return false;
}

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

data::DatasetLayout layout_of(const TextTable& table, const data::Tokenizer& tokenizer, const Totals& totals) {
  data::DatasetLayout layout;
  layout.num_samples = table.table().num_rows();
  layout.views_per_sample = table.num_views();
  layout.num_tokens = totals.tokens;
  layout.num_id_bytes = totals.id_bytes;
  layout.num_targets = table.num_targets();
  layout.num_features = table.num_features();
  layout.has_folds = table.has_folds();
  layout.has_groups = table.has_groups();
  layout.num_groups = table.group_names().size();
  for (const std::string& name : table.group_names()) layout.num_group_bytes += name.size();
  layout.wide_tokens = tokenizer.vocabulary_size() > 65536;
  return layout;
}

/// One table on its way into one dataset file; the members are in the order in which they are known.
struct Preparation {
  const RunConfig& config;
  RunEnvironment& environment;
  dist::ProcessGroup& world;
  std::optional<TextTable> table;
  std::unique_ptr<data::Tokenizer> tokenizer;
  std::string hash;
  fs::path file;
};

/// Opens the table and the tokenizer on every rank, and checks that all ranks see the same bytes.
void open_inputs(Preparation& work, const fs::path& table, TableRole role) {
  const TokenizerSection& settings = work.config.tokenizer;
  dist::agree(work.world, "read " + table.string(), [&] {
    work.table.emplace(table, work.config, role);
    work.tokenizer = data::load_tokenizer(work.config.model.path);
    work.hash = content_hash(*work.table, *work.tokenizer, settings.max_length);
  });
  const std::string first = work.world.broadcast_bytes(work.hash, 0);
  dist::agree(work.world, "compare " + table.string() + " between the ranks", [&] {
    if (work.hash == first) return;
    throw data::InputError({table.string(), {}, {}, {}},
                           "the table or the tokenizer of " + work.config.model.path +
                               " differs from what rank 0 reads; put both on shared storage");
  });
  work.file = cache_directory(work.config) / (table.stem().string() + "-" + work.hash.substr(0, 16) + ".h5");
}

/// Rank 0 looks, everybody is told: ranks that see a network file system differently must not disagree.
bool find_in_cache(Preparation& work) {
  std::string answer;
  dist::agree(work.world, "look for " + work.file.string(), [&] {
    if (work.world.rank() == 0)
      answer = is_cached(work.file, work.hash, work.environment.console) ? "cached" : "absent";
  });
  return work.world.broadcast_bytes(answer, 0) == "cached";
}

void write_parallel(const Preparation& work, const fs::path& temporary, const data::DatasetLayout& layout,
                    const data::DatasetPart& part) {
  // HDF5's collective calls and fsync cannot be polled: the watchdog bounds them.
  const dist::Watchdog::Phase phase(work.environment.watchdog, "write " + work.file.string(),
                                    work.environment.mpi.deadline());
  const data::Hdf5Properties access = make_mpi_file_access(*work.environment.mpi.world());
  std::optional<data::DatasetWriter> writer;
  dist::agree(work.world, "create " + temporary.string(), [&] { writer.emplace(temporary, layout, access.get()); });
  dist::agree(work.world, "write " + temporary.string(), [&] {
    writer->write(part);
    if (layout.has_groups && work.world.rank() == 0) writer->write_groups(work.table->group_names());
  });
  dist::agree(work.world, "close " + temporary.string(), [&] { writer->close(); });
  dist::agree(work.world, "sync " + temporary.string(), [&] { dist::sync_file(temporary); });
  dist::agree(work.world, "commit " + work.file.string(), [&] {
    if (work.world.rank() == 0) dist::rename_durably(temporary, work.file);
  });
}

/// Tokenizes this rank's share of the rows and writes the file together with the others.
void make_dataset(Preparation& work) {
  TextTable& table = *work.table;
  data::DatasetPart part;
  dist::agree(work.world, "tokenize " + table.table().file().string(), [&] {
    table.scan();
    const auto shares = data::pack(table.text_bytes(), static_cast<std::size_t>(work.world.size()));
    const data::PackRange own = shares[static_cast<std::size_t>(work.world.rank())];
    part = table.tokenize(own.begin, own.end, *work.tokenizer);
  });

  const Totals totals = sum_over_ranks(work.world, part);
  part.first_token = totals.tokens_before;
  part.first_id_byte = totals.id_bytes_before;
  data::DatasetLayout layout = layout_of(table, *work.tokenizer, totals);
  layout.attributes = {{"source_hash", work.hash},
                       {"tokenizer", work.tokenizer->name()},
                       {"tokenizer_hash", work.tokenizer->hash()},
                       {"max_length", std::to_string(work.config.tokenizer.max_length)},
                       {"column_roles", table.roles()},
                       {"class_names", nlohmann::json(table.class_names()).dump()}};

  fs::path temporary = work.file;
  temporary +=
      ".tmp-" + work.world.broadcast_bytes(work.environment.mpi.host_name() + "-" + std::to_string(::getpid()), 0);
  dist::agree(work.world, "make the directory of " + work.file.string(), [&] {
    std::error_code error;
    if (work.world.rank() == 0) fs::create_directories(work.file.parent_path(), error);
    if (error) throw StorageError(work.file.parent_path().string() + ": cannot be made: " + error.message());
  });
  try {
    write_parallel(work, temporary, layout, part);
  } catch (...) {
    std::error_code ignored;
    if (work.world.rank() == 0) fs::remove(temporary, ignored);
    throw;
  }
}

}  // namespace

PreparedDataset prepare_dataset(const RunConfig& config, const fs::path& table, TableRole role,
                                RunEnvironment& environment) {
  const auto start = std::chrono::steady_clock::now();
  const auto group = dist::make_mpi_process_group(environment.mpi.world(), "world");
  Preparation work{config, environment, *group, std::nullopt, nullptr, {}, {}};

  open_inputs(work, table, role);
  PreparedDataset prepared;
  prepared.file = work.file;
  prepared.from_cache = find_in_cache(work);
  if (!prepared.from_cache) make_dataset(work);

  dist::agree(work.world, "open " + work.file.string(), [&] {
    prepared.dataset = data::Dataset::open(work.file, read_mode(config));
    prepared.class_names =
        nlohmann::json::parse(prepared.dataset.attributes().at("class_names")).get<std::vector<std::string>>();
  });
  prepared.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return prepared;
}

}  // namespace meshfold::jobs
