#include "data/dataset_writer.hpp"

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <utility>

#include "data/dataset_format.hpp"
#include "data/error.hpp"
#include "data/hdf5_handle.hpp"

namespace meshfold::data {
namespace {

// MPI-IO counts bytes in an int, and one huge write would hold the file system's locks for long.
constexpr std::uint64_t kMaxWriteBytes = std::uint64_t{256} << 20;

void write_attribute(hid_t file, const std::string& object, const std::string& name, const std::string& value) {
  const std::string what = object + ", attribute '" + name + "'";
  const Hdf5Type type(H5Tcopy(H5T_C_S1), "H5Tcopy", what);
  check_hdf5(H5Tset_size(type.get(), std::max<std::size_t>(1, value.size())), "H5Tset_size", what);
  check_hdf5(H5Tset_strpad(type.get(), H5T_STR_NULLPAD), "H5Tset_strpad", what);
  check_hdf5(H5Tset_cset(type.get(), H5T_CSET_UTF8), "H5Tset_cset", what);
  const Hdf5Space space(H5Screate(H5S_SCALAR), "H5Screate", what);
  const Hdf5Attribute attribute(H5Acreate2(file, name.c_str(), type.get(), space.get(), H5P_DEFAULT, H5P_DEFAULT),
                                "H5Acreate2", what);
  check_hdf5(H5Awrite(attribute.get(), type.get(), value.empty() ? "" : value.data()), "H5Awrite", what);
}

template <typename Result, typename T, typename Function>
std::vector<Result> mapped(const std::vector<T>& values, Function function) {
  std::vector<Result> out(values.size());
  std::transform(values.begin(), values.end(), out.begin(), function);
  return out;
}

/// Where each of consecutive pieces ends, beginning at `first`; with `first` in front if this is the column's
/// beginning.
template <typename Lengths, typename Length>
std::vector<std::uint64_t> ends_of(std::uint64_t first, const Lengths& lengths, bool with_first, Length length) {
  std::vector<std::uint64_t> ends;
  ends.reserve(lengths.size() + 1);
  if (with_first) ends.push_back(first);
  for (const auto& item : lengths) ends.push_back(first += length(item));
  return ends;
}

std::string concatenated(std::span<const std::string> texts) {
  std::string all;
  for (const std::string& text : texts) all += text;
  return all;
}

}  // namespace

struct DatasetWriter::State {
  std::string name;
  DatasetLayout layout;
  Hdf5File file;

  template <typename T>
  void write_rows(const char* column, hid_t memory_type, std::uint64_t first_row, std::uint64_t width,
                  const std::vector<T>& values);
  void create(const char* column, hid_t type, std::uint64_t rows, std::uint64_t width);
};

/// One contiguous, unfiltered dataset, allocated now and never filled; width 0: one-dimensional.
void DatasetWriter::State::create(const char* column, hid_t type, std::uint64_t rows, std::uint64_t width) {
  const std::string what = name + ", " + column;
  const hsize_t extents[2] = {rows, width};
  const Hdf5Space space(H5Screate_simple(width == 0 ? 1 : 2, extents, nullptr), "H5Screate_simple", what);
  const Hdf5Properties properties(H5Pcreate(H5P_DATASET_CREATE), "H5Pcreate", what);
  check_hdf5(H5Pset_layout(properties.get(), H5D_CONTIGUOUS), "H5Pset_layout", what);
  check_hdf5(H5Pset_alloc_time(properties.get(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time", what);
  check_hdf5(H5Pset_fill_time(properties.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time", what);
  check_hdf5(H5Pset_obj_track_times(properties.get(), false), "H5Pset_obj_track_times",
             what);  // equal input, equal file
  const Hdf5Dataset made(H5Dcreate2(file.get(), column, type, space.get(), H5P_DEFAULT, properties.get(), H5P_DEFAULT),
                         "H5Dcreate2", what);
}

/// Writes whole rows [first_row, ...) of `width` values (0: one-dimensional), in pieces of at most kMaxWriteBytes.
template <typename T>
void DatasetWriter::State::write_rows(const char* column, hid_t memory_type, std::uint64_t first_row,
                                      std::uint64_t width, const std::vector<T>& values) {
  if (values.empty()) return;
  const std::string what = name + ", " + column;
  const Hdf5Dataset dataset(H5Dopen2(file.get(), column, H5P_DEFAULT), "H5Dopen2", what);
  const Hdf5Space file_space(H5Dget_space(dataset.get()), "H5Dget_space", what);
  const std::uint64_t per_row = std::max<std::uint64_t>(1, width);
  const std::uint64_t num_rows = values.size() / per_row;
  const std::uint64_t rows_per_write = std::max<std::uint64_t>(1, kMaxWriteBytes / (per_row * sizeof(T)));
  for (std::uint64_t row = 0; row < num_rows; row += rows_per_write) {
    const hsize_t start[2] = {first_row + row, 0};
    const hsize_t count[2] = {std::min(rows_per_write, num_rows - row), per_row};
    check_hdf5(H5Sselect_hyperslab(file_space.get(), H5S_SELECT_SET, start, nullptr, count, nullptr),
               "H5Sselect_hyperslab", what);
    const Hdf5Space memory_space(H5Screate_simple(width == 0 ? 1 : 2, count, nullptr), "H5Screate_simple", what);
    check_hdf5(H5Dwrite(dataset.get(), memory_type, memory_space.get(), file_space.get(), H5P_DEFAULT,
                        values.data() + row * per_row),
               "H5Dwrite", what);
  }
}

DatasetWriter::DatasetWriter(const std::filesystem::path& file, const DatasetLayout& layout, std::int64_t file_access)
    : state_(std::make_unique<State>()) {
  silence_hdf5();
  State& state = *state_;
  state.name = file.string();
  state.layout = layout;
  const Hdf5Properties access(H5Pcopy(file_access), "H5Pcopy", state.name);
  check_hdf5(H5Pset_alignment(access.get(), 1, kDatasetAlignment), "H5Pset_alignment", state.name);
  state.file = Hdf5File(H5Fcreate(file.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access.get()), "H5Fcreate", state.name);

  const std::uint64_t samples = layout.num_samples, inputs = samples * layout.views_per_sample;
  state.create("tokens", layout.wide_tokens ? H5T_STD_I32LE : H5T_STD_U16LE, layout.num_tokens, 0);
  state.create("offsets", H5T_STD_U64LE, inputs + 1, 0);
  state.create("pair_starts", H5T_STD_U32LE, inputs, 0);
  if (layout.num_targets > 0) state.create("targets", H5T_IEEE_F32LE, samples, layout.num_targets);
  if (layout.num_features > 0) state.create("features", H5T_IEEE_F32LE, samples, layout.num_features);
  if (layout.has_folds) state.create("folds", H5T_STD_I16LE, samples, 0);
  state.create("id_bytes", H5T_STD_U8LE, layout.num_id_bytes, 0);
  state.create("id_offsets", H5T_STD_U64LE, samples + 1, 0);
  if (layout.has_groups) {
    state.create("group_codes", H5T_STD_I32LE, samples, 0);
    state.create("group_bytes", H5T_STD_U8LE, layout.num_group_bytes, 0);
    state.create("group_offsets", H5T_STD_U64LE, layout.num_groups + 1, 0);
  }

  std::map<std::string, std::string> attributes = layout.attributes;
  attributes.insert_or_assign("format", std::string(kDatasetFormat));
  attributes.insert_or_assign("format_version", std::string(kDatasetFormatVersion));
  attributes.insert_or_assign("token_type", layout.wide_tokens ? "i32" : "u16");
  attributes.insert_or_assign("views_per_sample", std::to_string(layout.views_per_sample));
  for (const auto& [name, value] : attributes) write_attribute(state.file.get(), state.name, name, value);
}

DatasetWriter::~DatasetWriter() = default;

void DatasetWriter::write(const DatasetPart& part) {
  State& state = *state_;
  const DatasetLayout& layout = state.layout;
  const std::uint64_t samples = part.ids.size(), first_input = part.first_sample * layout.views_per_sample;
  const bool fits =
      part.lengths.size() == samples * layout.views_per_sample && part.pair_starts.size() == part.lengths.size() &&
      part.targets.size() == samples * layout.num_targets && part.features.size() == samples * layout.num_features &&
      part.folds.size() == (layout.has_folds ? samples : 0) &&
      part.group_codes.size() == (layout.has_groups ? samples : 0) && part.first_sample + samples <= layout.num_samples;
  if (!fits)
    throw std::invalid_argument("a part of " + std::to_string(samples) +
                                " samples whose columns do not fit the layout");
  if (samples == 0) return;

  // The offsets columns hold where each piece ends, after one 0 that belongs to whoever holds sample 0.
  const bool first = part.first_sample == 0;
  const auto after_zero = [first](std::uint64_t row) { return first ? 0 : row + 1; };
  state.write_rows("offsets", H5T_NATIVE_UINT64, after_zero(first_input), 0,
                   ends_of(part.first_token, part.lengths, first, [](std::uint32_t length) { return length; }));
  state.write_rows("pair_starts", H5T_NATIVE_UINT32, first_input, 0, part.pair_starts);
  if (layout.wide_tokens) {
    state.write_rows("tokens", H5T_NATIVE_INT32, part.first_token, 0, part.tokens);
  } else {
    const auto narrow = [](std::int32_t token) { return static_cast<std::uint16_t>(token); };
    state.write_rows("tokens", H5T_NATIVE_UINT16, part.first_token, 0, mapped<std::uint16_t>(part.tokens, narrow));
  }
  state.write_rows("targets", H5T_NATIVE_FLOAT, part.first_sample, layout.num_targets, part.targets);
  state.write_rows("features", H5T_NATIVE_FLOAT, part.first_sample, layout.num_features, part.features);
  state.write_rows("folds", H5T_NATIVE_INT16, part.first_sample, 0, part.folds);
  state.write_rows("group_codes", H5T_NATIVE_INT32, part.first_sample, 0, part.group_codes);
  const std::string id_bytes = concatenated(part.ids);
  state.write_rows("id_bytes", H5T_NATIVE_UINT8, part.first_id_byte, 0,
                   std::vector<char>(id_bytes.begin(), id_bytes.end()));
  state.write_rows("id_offsets", H5T_NATIVE_UINT64, after_zero(part.first_sample), 0,
                   ends_of(part.first_id_byte, part.ids, first, [](const std::string& id) { return id.size(); }));
}

void DatasetWriter::write_groups(std::span<const std::string> names) {
  State& state = *state_;
  if (!state.layout.has_groups || names.size() != state.layout.num_groups) {
    throw std::invalid_argument(std::to_string(names.size()) + " group names; the layout has " +
                                std::to_string(state.layout.num_groups));
  }
  const std::string bytes = concatenated(names);
  state.write_rows("group_bytes", H5T_NATIVE_UINT8, 0, 0, std::vector<char>(bytes.begin(), bytes.end()));
  state.write_rows("group_offsets", H5T_NATIVE_UINT64, 0, 0,
                   ends_of(0, names, true, [](const std::string& name) { return name.size(); }));
}

void DatasetWriter::close() { state_->file.close("H5Fclose", state_->name); }

}  // namespace meshfold::data
