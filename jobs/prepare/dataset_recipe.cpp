#include "jobs/prepare/dataset_recipe.hpp"

#include <nlohmann/json.hpp>
#include <system_error>

#include "base/checksum.hpp"
#include "data/dataset_format.hpp"
#include "data/error.hpp"

namespace meshfold::jobs {
namespace {

namespace fs = std::filesystem;

std::string content_hash(const TextTable& table, const data::Tokenizer& tokenizer, const data::Truncation& truncation) {
  const std::string key = base::xxh3_128_hex(table.table().bytes()) + '\n' + table.roles() + '\n' + tokenizer.hash() +
                          '\n' + truncation.to_string() + '\n' + std::string(data::kDatasetFormatVersion);
  return base::xxh3_128_hex(key);
}

fs::path cache_directory(const RunConfig& config) {
  return config.data.cache.empty() ? fs::path(config.run.directory) / "data" : fs::path(config.data.cache);
}

}  // namespace

DatasetRecipe::DatasetRecipe(const RunConfig& config, const fs::path& path, TableRole role)
    : table(path, config, role),
      tokenizer(data::load_tokenizer(config.model.path)),
      truncation(truncation_of(config.tokenizer)),
      hash(content_hash(table, *tokenizer, truncation)),
      file(cache_directory(config) / (path.stem().string() + "-" + hash.substr(0, 16) + ".h5")) {}

data::DatasetLayout DatasetRecipe::layout(std::uint64_t num_tokens, std::uint64_t num_id_bytes) const {
  data::DatasetLayout layout;
  layout.num_samples = table.table().num_rows();
  layout.views_per_sample = table.num_views();
  layout.num_tokens = num_tokens;
  layout.num_id_bytes = num_id_bytes;
  layout.num_targets = table.num_targets();
  layout.num_features = table.num_features();
  layout.has_folds = table.has_folds();
  layout.has_groups = table.has_groups();
  layout.num_groups = table.group_names().size();
  for (const std::string& name : table.group_names()) layout.num_group_bytes += name.size();
  layout.wide_tokens = tokenizer->vocabulary_size() > 65536;
  layout.attributes = {{"source_hash", hash},
                       {"tokenizer", tokenizer->name()},
                       {"tokenizer_hash", tokenizer->hash()},
                       {"max_length", std::to_string(truncation.max_length)},
                       {"column_roles", table.roles()},
                       {"class_names", nlohmann::json(table.class_names()).dump()}};
  if (truncation.kind != data::Truncation::Kind::kLongestFirst)
    layout.attributes["truncation"] = truncation.to_string();
  return layout;
}

bool DatasetRecipe::is_cached(Console& console) const {
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

std::vector<std::string> class_names_of(const data::Dataset& dataset) {
  return nlohmann::json::parse(dataset.attributes().at("class_names")).get<std::vector<std::string>>();
}

}  // namespace meshfold::jobs
