#include "data/dataset.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "data/dataset_columns.hpp"
#include "data/dataset_format.hpp"
#include "data/map_input.hpp"

namespace meshfold::data {

struct Dataset::State {
  std::unique_ptr<base::MappedFile> mapped;
  std::map<std::string, std::string> attributes;
  std::string source_hash;
  std::uint32_t num_samples = 0, views = 1, num_targets = 0, num_features = 0;
  bool wide_tokens = false;
  Column tokens, offsets, pair_starts, targets, features, folds, id_bytes, id_offsets, group_codes, group_bytes,
      group_offsets;

  std::uint32_t check_sample(std::uint32_t sample) const {
    if (sample >= num_samples) {
      throw std::out_of_range("sample " + std::to_string(sample) + " of a dataset of " + std::to_string(num_samples));
    }
    return sample;
  }
};

namespace {

/// Offsets begin at 0, never fall, and end at the number of items they cut up.
void check_offsets(const DatasetColumns& columns, const char* name, std::span<const std::uint64_t> offsets,
                   std::uint64_t end) {
  if (offsets.empty() || offsets.front() != 0 || offsets.back() != end ||
      !std::is_sorted(offsets.begin(), offsets.end())) {
    columns.reject(std::string("column /") + name + " is damaged: it does not rise from 0 to " + std::to_string(end) +
                   "; remove the file and make it again");
  }
}

void check_rows(const DatasetColumns& columns, const char* name, const Column& column, std::uint64_t rows) {
  if (column.extents[0] == rows) return;
  columns.reject(std::string("column /") + name + " has " + std::to_string(column.extents[0]) + " rows instead of " +
                 std::to_string(rows));
}

std::string_view piece(const Column& bytes, const Column& offsets, std::size_t index) {
  const auto ends = offsets.as<std::uint64_t>();
  return {reinterpret_cast<const char*>(bytes.data) + ends[index],
          static_cast<std::size_t>(ends[index + 1] - ends[index])};
}

std::map<std::string, std::string> checked_attributes(const DatasetColumns& columns) {
  auto attributes = columns.attributes();
  if (attributes["format"] != kDatasetFormat) {
    columns.reject("not a Meshfold dataset (it is HDF5, but has no attribute format = " + std::string(kDatasetFormat) +
                   ")");
  }
  if (attributes["format_version"] != kDatasetFormatVersion) {
    columns.reject("dataset format version '" + attributes["format_version"] + "'; this program reads version " +
                   std::string(kDatasetFormatVersion) + ": remove the file and make it again");
  }
  return attributes;
}

std::uint32_t views_of(const DatasetColumns& columns, const std::map<std::string, std::string>& attributes) {
  const auto found = attributes.find("views_per_sample");
  const std::string text = found == attributes.end() ? std::string() : found->second;
  const bool good =
      !text.empty() && text.size() <= 3 && text.find_first_not_of("0123456789") == std::string::npos && text[0] != '0';
  if (!good) columns.reject("attribute views_per_sample is '" + text + "', not a small positive number");
  return static_cast<std::uint32_t>(std::stoul(text));
}

}  // namespace

Dataset Dataset::open(const std::filesystem::path& file, Read read) {
  auto state = std::make_shared<State>();
  if (read == Read::kMapped) state->mapped = std::make_unique<base::MappedFile>(map_input(file));
  const DatasetColumns columns(file, state->mapped.get());
  state->attributes = checked_attributes(columns);
  state->source_hash = state->attributes["source_hash"];
  state->views = views_of(columns, state->attributes);

  state->id_offsets = columns.load("id_offsets", H5T_STD_U64LE, 8, 1);
  const std::uint64_t samples = state->id_offsets.extents[0] - 1;  // an empty column wraps and fails just below
  if (samples >= std::numeric_limits<std::uint32_t>::max())
    columns.reject("it has no samples, or more than 4,294,967,294");
  state->num_samples = static_cast<std::uint32_t>(samples);
  state->id_bytes = columns.load("id_bytes", H5T_STD_U8LE, 1, 1);
  check_offsets(columns, "id_offsets", state->id_offsets.as<std::uint64_t>(), state->id_bytes.size());

  state->offsets = columns.load("offsets", H5T_STD_U64LE, 8, 1);
  check_rows(columns, "offsets", state->offsets, samples * state->views + 1);
  state->wide_tokens = state->attributes["token_type"] == "i32";
  state->tokens =
      state->wide_tokens ? columns.load("tokens", H5T_STD_I32LE, 4, 1) : columns.load("tokens", H5T_STD_U16LE, 2, 1);
  check_offsets(columns, "offsets", state->offsets.as<std::uint64_t>(), state->tokens.size());
  state->pair_starts = columns.load("pair_starts", H5T_STD_U32LE, 4, 1);
  check_rows(columns, "pair_starts", state->pair_starts, samples * state->views);

  if (columns.has("targets")) {
    state->targets = columns.load("targets", H5T_IEEE_F32LE, 4, 2);
    check_rows(columns, "targets", state->targets, samples);
    state->num_targets = static_cast<std::uint32_t>(state->targets.extents[1]);
  }
  if (columns.has("features")) {
    state->features = columns.load("features", H5T_IEEE_F32LE, 4, 2);
    check_rows(columns, "features", state->features, samples);
    state->num_features = static_cast<std::uint32_t>(state->features.extents[1]);
  }
  if (columns.has("folds")) {
    state->folds = columns.load("folds", H5T_STD_I16LE, 2, 1);
    check_rows(columns, "folds", state->folds, samples);
  }
  if (columns.has("group_codes")) {
    state->group_codes = columns.load("group_codes", H5T_STD_I32LE, 4, 1);
    check_rows(columns, "group_codes", state->group_codes, samples);
    state->group_bytes = columns.load("group_bytes", H5T_STD_U8LE, 1, 1);
    state->group_offsets = columns.load("group_offsets", H5T_STD_U64LE, 8, 1);
    check_offsets(columns, "group_offsets", state->group_offsets.as<std::uint64_t>(), state->group_bytes.size());
    const auto num_groups = static_cast<std::int64_t>(state->group_offsets.size()) - 1;
    const auto codes = state->group_codes.as<std::int32_t>();
    if (std::any_of(codes.begin(), codes.end(), [&](std::int32_t code) { return code < 0 || code >= num_groups; })) {
      columns.reject("column /group_codes is damaged: a code without a name; remove the file and make it again");
    }
  }
  Dataset dataset;
  dataset.state_ = std::move(state);
  return dataset;
}

std::uint32_t Dataset::num_samples() const { return state_->num_samples; }
std::uint32_t Dataset::views_per_sample() const { return state_->views; }
std::uint32_t Dataset::num_targets() const { return state_->num_targets; }
std::uint32_t Dataset::num_features() const { return state_->num_features; }

std::uint32_t Dataset::length(std::uint64_t input) const {
  state_->check_sample(static_cast<std::uint32_t>(std::min<std::uint64_t>(input / state_->views, state_->num_samples)));
  const auto offsets = state_->offsets.as<std::uint64_t>();
  return static_cast<std::uint32_t>(offsets[input + 1] - offsets[input]);
}

std::uint32_t Dataset::sample_length(std::uint32_t sample) const {
  state_->check_sample(sample);
  const auto offsets = state_->offsets.as<std::uint64_t>();
  const std::uint64_t first = std::uint64_t{sample} * state_->views;
  return static_cast<std::uint32_t>(offsets[first + state_->views] - offsets[first]);
}

void Dataset::copy_tokens(std::uint64_t input, std::int32_t* out) const {
  const std::uint32_t count = length(input);
  const std::uint64_t first = state_->offsets.as<std::uint64_t>()[input];
  if (state_->wide_tokens) {
    std::copy_n(state_->tokens.as<std::int32_t>().begin() + static_cast<std::ptrdiff_t>(first), count, out);
  } else {
    std::copy_n(state_->tokens.as<std::uint16_t>().begin() + static_cast<std::ptrdiff_t>(first), count, out);
  }
}

std::uint32_t Dataset::pair_start(std::uint64_t input) const { return state_->pair_starts.as<std::uint32_t>()[input]; }

std::span<const float> Dataset::targets(std::uint32_t sample) const {
  state_->check_sample(sample);
  if (state_->num_targets == 0) return {};
  return state_->targets.as<float>().subspan(std::size_t{sample} * state_->num_targets, state_->num_targets);
}

std::span<const float> Dataset::features(std::uint32_t sample) const {
  state_->check_sample(sample);
  if (state_->num_features == 0) return {};
  return state_->features.as<float>().subspan(std::size_t{sample} * state_->num_features, state_->num_features);
}

std::string_view Dataset::id(std::uint32_t sample) const {
  return piece(state_->id_bytes, state_->id_offsets, state_->check_sample(sample));
}

bool Dataset::has_folds() const { return !state_->folds.extents.empty(); }

std::int16_t Dataset::fold(std::uint32_t sample) const {
  if (!has_folds()) throw std::logic_error("the dataset has no fold column");
  return state_->folds.as<std::int16_t>()[state_->check_sample(sample)];
}

bool Dataset::has_groups() const { return !state_->group_codes.extents.empty(); }

std::int32_t Dataset::group(std::uint32_t sample) const {
  if (!has_groups()) throw std::logic_error("the dataset has no group column");
  return state_->group_codes.as<std::int32_t>()[state_->check_sample(sample)];
}

std::uint32_t Dataset::num_groups() const {
  return has_groups() ? static_cast<std::uint32_t>(state_->group_offsets.size() - 1) : 0;
}

std::string_view Dataset::group_name(std::int32_t code) const {
  if (code < 0 || static_cast<std::uint32_t>(code) >= num_groups())
    throw std::out_of_range("group code " + std::to_string(code));
  return piece(state_->group_bytes, state_->group_offsets, static_cast<std::size_t>(code));
}

const std::map<std::string, std::string>& Dataset::attributes() const { return state_->attributes; }
const std::string& Dataset::source_hash() const { return state_->source_hash; }

std::vector<std::string> ids_of(const Dataset& dataset) {
  std::vector<std::string> ids;
  ids.reserve(dataset.num_samples());
  for (std::uint32_t row = 0; row < dataset.num_samples(); ++row) ids.emplace_back(dataset.id(row));
  return ids;
}

std::vector<std::uint32_t> all_rows(const Dataset& dataset) {
  std::vector<std::uint32_t> rows(dataset.num_samples());
  std::iota(rows.begin(), rows.end(), 0U);
  return rows;
}

}  // namespace meshfold::data
