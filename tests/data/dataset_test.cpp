#include "data/dataset.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "data/dataset_writer.hpp"
#include "data/error.hpp"
#include "data/pack.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::data {
namespace {

/// Samples made from a seed, as one part.
struct Made {
  DatasetLayout layout;
  DatasetPart part;
  std::vector<std::string> groups;
};

Made make_samples(std::uint32_t num_samples, std::uint32_t views, bool wide) {
  std::mt19937 random(num_samples);
  Made made;
  DatasetPart& part = made.part;
  made.groups = {"first", "", "dritte ä"};
  for (std::uint32_t i = 0; i < num_samples; ++i) {
    for (std::uint32_t view = 0; view < views; ++view) {
      const std::uint32_t length = 2 + random() % 30;
      part.lengths.push_back(length);
      part.pair_starts.push_back(i % 3 == 0 ? 0 : 1 + random() % (length - 1));
      for (std::uint32_t t = 0; t < length; ++t)
        part.tokens.push_back(static_cast<std::int32_t>(random() % (wide ? 200000 : 65536)));
    }
    for (int c = 0; c < 3; ++c) part.targets.push_back(static_cast<float>(i) + 0.25F * static_cast<float>(c));
    for (int f = 0; f < 2; ++f) part.features.push_back(-static_cast<float>(i) - 0.5F * static_cast<float>(f));
    part.folds.push_back(static_cast<std::int16_t>(i % 5));
    part.group_codes.push_back(static_cast<std::int32_t>(i % 3));
    part.ids.push_back("sample-" + std::string(i % 7, 'x') + std::to_string(i));
  }
  DatasetLayout& layout = made.layout;
  layout.num_samples = num_samples;
  layout.views_per_sample = views;
  layout.num_tokens = part.tokens.size();
  for (const auto& id : part.ids) layout.num_id_bytes += id.size();
  layout.num_targets = 3;
  layout.num_features = 2;
  layout.has_folds = layout.has_groups = true;
  layout.num_groups = made.groups.size();
  for (const auto& name : made.groups) layout.num_group_bytes += name.size();
  layout.wide_tokens = wide;
  layout.attributes = {{"source_hash", "abc123"}, {"class_names", ""}};
  return made;
}

void write(const std::filesystem::path& file, const Made& made) {
  DatasetWriter writer(file, made.layout, H5P_FILE_ACCESS_DEFAULT);
  writer.write(made.part);
  writer.write_groups(made.groups);
  writer.close();
}

void expect_equal(const Dataset& dataset, const Made& made) {
  const DatasetPart& part = made.part;
  ASSERT_EQ(dataset.num_samples(), made.layout.num_samples);
  ASSERT_EQ(dataset.views_per_sample(), made.layout.views_per_sample);
  std::size_t token = 0;
  for (std::size_t input = 0; input < part.lengths.size(); ++input) {
    ASSERT_EQ(dataset.length(input), part.lengths[input]);
    EXPECT_EQ(dataset.pair_start(input), part.pair_starts[input]);
    std::vector<std::int32_t> ids(part.lengths[input]);
    dataset.copy_tokens(input, ids.data());
    for (const std::int32_t id : ids) ASSERT_EQ(id, part.tokens[token++]);
  }
  for (std::uint32_t i = 0; i < dataset.num_samples(); ++i) {
    EXPECT_EQ(dataset.id(i), part.ids[i]);
    EXPECT_EQ(dataset.fold(i), part.folds[i]);
    EXPECT_EQ(dataset.group(i), part.group_codes[i]);
    for (std::size_t c = 0; c < 3; ++c) EXPECT_EQ(dataset.targets(i)[c], part.targets[i * 3 + c]);
    for (std::size_t f = 0; f < 2; ++f) EXPECT_EQ(dataset.features(i)[f], part.features[i * 2 + f]);
  }
  ASSERT_EQ(dataset.num_groups(), made.groups.size());
  for (std::size_t g = 0; g < made.groups.size(); ++g)
    EXPECT_EQ(dataset.group_name(static_cast<std::int32_t>(g)), made.groups[g]);
  EXPECT_EQ(dataset.source_hash(), "abc123");
  EXPECT_EQ(dataset.attributes().at("class_names"), "");
}

std::string refusal_of(const std::filesystem::path& file, Dataset::Read read = Dataset::Read::kMapped) {
  try {
    Dataset::open(file, read);
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find(file.string()), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    return error.what();
  }
  return "opened";
}

class DatasetFile : public ::testing::Test {
 protected:
  std::filesystem::path path(const char* name) const { return directory_.path() / name; }
  /// Writes a good file, then lets `change` spoil it through HDF5.
  std::filesystem::path spoiled(const std::function<void(hid_t)>& change) const {
    const auto file = path("spoiled.h5");
    write(file, make_samples(20, 1, false));
    const hid_t handle = H5Fopen(file.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
    change(handle);
    H5Fclose(handle);
    return file;
  }

  TemporaryDirectory directory_;
};

TEST_F(DatasetFile, ReturnsWhatWasWritten) {
  for (const std::uint32_t views : {1U, 3U}) {
    for (const bool wide : {false, true}) {
      const Made made = make_samples(101, views, wide);
      write(path("round.h5"), made);

      expect_equal(Dataset::open(path("round.h5"), Dataset::Read::kMapped), made);
      expect_equal(Dataset::open(path("round.h5"), Dataset::Read::kMemory), made);
    }
  }
}

TEST_F(DatasetFile, ListsItsRowsFromTheFirstToTheLast) {
  write(path("rows.h5"), make_samples(3, 2, false));

  EXPECT_EQ(all_rows(Dataset::open(path("rows.h5"))), (std::vector<std::uint32_t>{0, 1, 2}));
}

TEST_F(DatasetFile, StaysReadableInMemoryAfterItIsRemoved) {
  const Made made = make_samples(10, 1, false);
  write(path("gone.h5"), made);

  const Dataset copied = Dataset::open(path("gone.h5"), Dataset::Read::kMemory);
  std::filesystem::resize_file(path("gone.h5"), 0);

  expect_equal(copied, made);
}

TEST_F(DatasetFile, IsMadeOfPartsInAnyOrder) {
  const Made made = make_samples(40, 1, false);
  DatasetLayout layout = made.layout;
  layout.num_targets = layout.num_features = 0;
  layout.has_folds = layout.has_groups = false;
  DatasetWriter writer(path("parts.h5"), layout, H5P_FILE_ACCESS_DEFAULT);
  for (const std::size_t begin : {25, 0, 10}) {
    const std::size_t end = begin == 0 ? 10 : begin == 10 ? 25 : 40;
    DatasetPart part;
    part.first_sample = begin;
    for (std::size_t i = 0; i < end; ++i) {
      auto& tokens_before = part.first_token;
      if (i < begin) {
        tokens_before += made.part.lengths[i];
        part.first_id_byte += made.part.ids[i].size();
        continue;
      }
      part.lengths.push_back(made.part.lengths[i]);
      part.pair_starts.push_back(made.part.pair_starts[i]);
      part.ids.push_back(made.part.ids[i]);
    }
    std::size_t count = 0;
    for (const auto length : part.lengths) count += length;
    const auto first = made.part.tokens.begin() + static_cast<std::ptrdiff_t>(part.first_token);
    part.tokens.assign(first, first + static_cast<std::ptrdiff_t>(count));
    writer.write(part);
  }
  writer.close();

  const Dataset dataset = Dataset::open(path("parts.h5"));

  std::size_t token = 0;
  for (std::uint32_t i = 0; i < 40; ++i) {
    EXPECT_EQ(dataset.id(i), made.part.ids[i]);
    std::vector<std::int32_t> ids(dataset.length(i));
    dataset.copy_tokens(i, ids.data());
    for (const auto id : ids) ASSERT_EQ(id, made.part.tokens[token++]);
  }
  EXPECT_FALSE(dataset.has_folds());
  EXPECT_FALSE(dataset.has_groups());
  EXPECT_TRUE(dataset.targets(0).empty());
  EXPECT_THROW(dataset.fold(0), std::logic_error);
}

TEST_F(DatasetFile, HasContiguousAlignedColumnsForAnyHdf5Tool) {
  write(path("plain.h5"), make_samples(20, 1, false));
  const hid_t file = H5Fopen(path("plain.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT);
  for (const char* name : {"tokens", "offsets", "pair_starts", "targets", "features", "folds", "id_bytes", "id_offsets",
                           "group_codes", "group_bytes", "group_offsets"}) {
    const hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT), properties = H5Dget_create_plist(dataset);
    EXPECT_EQ(H5Pget_layout(properties), H5D_CONTIGUOUS) << name;
    EXPECT_EQ(H5Pget_nfilters(properties), 0) << name;
    EXPECT_EQ(H5Dget_offset(dataset) % 4096, 0u) << name;
    H5Pclose(properties);
    H5Dclose(dataset);
  }
  H5Fclose(file);
}

TEST_F(DatasetFile, IsRefusedWhenCutShortAnywhere) {
  write(path("whole.h5"), make_samples(50, 1, false));
  const auto size = std::filesystem::file_size(path("whole.h5"));
  for (const auto kept : {size - 1, size / 2, size / 10}) {
    for (const auto read : {Dataset::Read::kMapped, Dataset::Read::kMemory}) {
      std::filesystem::copy_file(path("whole.h5"), path("cut.h5"), std::filesystem::copy_options::overwrite_existing);
      std::filesystem::resize_file(path("cut.h5"), kept);

      EXPECT_NE(refusal_of(path("cut.h5"), read).find("truncated"), std::string::npos)
          << refusal_of(path("cut.h5"), read);
    }
  }
}

TEST_F(DatasetFile, IsRefusedWhenForeign) {
  std::ofstream(path("text.h5")) << "id,text\n1,hello\n";
  std::ofstream(path("empty.h5"));
  const hid_t other = H5Fcreate(path("other.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(other);

  EXPECT_NE(refusal_of(path("text.h5")).find("not a readable HDF5 file"), std::string::npos);
  EXPECT_NE(refusal_of(path("empty.h5")).find("not a readable HDF5 file"), std::string::npos);
  EXPECT_NE(refusal_of(path("other.h5")).find("not a Meshfold dataset"), std::string::npos);
  EXPECT_NE(refusal_of(path("missing.h5")), "opened");
  EXPECT_NE(refusal_of(path("missing.h5"), Dataset::Read::kMemory), "opened");
}

TEST_F(DatasetFile, IsRefusedWhenOfAnotherVersion) {
  const auto file = spoiled([](hid_t handle) {
    const hid_t attribute = H5Aopen(handle, "format_version", H5P_DEFAULT), type = H5Aget_type(attribute);
    H5Awrite(attribute, type, "9");
    H5Tclose(type);
    H5Aclose(attribute);
  });

  EXPECT_NE(refusal_of(file).find("version '9'"), std::string::npos) << refusal_of(file);
}

TEST_F(DatasetFile, IsRefusedWhenAColumnIsMissingOrItsOffsetsAreDamaged) {
  const auto without = spoiled([](hid_t handle) { H5Ldelete(handle, "tokens", H5P_DEFAULT); });
  EXPECT_NE(refusal_of(without).find("/tokens is missing"), std::string::npos) << refusal_of(without);

  const auto falling = spoiled([](hid_t handle) {
    const hid_t dataset = H5Dopen2(handle, "offsets", H5P_DEFAULT);
    std::vector<std::uint64_t> offsets(21);
    H5Dread(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, offsets.data());
    std::swap(offsets[3], offsets[9]);
    H5Dwrite(dataset, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, offsets.data());
    H5Dclose(dataset);
  });
  EXPECT_NE(refusal_of(falling).find("/offsets is damaged"), std::string::npos) << refusal_of(falling);
}

TEST_F(DatasetFile, ThrowsOneLineWhenItCannotBeMade) {
  try {
    write(path("no/such/directory/d.h5"), make_samples(3, 1, false));
    FAIL() << "the file was made";
  } catch (const Hdf5Error& error) {
    EXPECT_NE(std::string(error.what()).find("H5Fcreate"), std::string::npos) << error.what();
    EXPECT_NE(std::string(error.what()).find("No such file or directory"), std::string::npos) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
  }
}

TEST_F(DatasetFile, PacksWithoutPadding) {
  const Made made = make_samples(9, 2, false);
  write(path("pack.h5"), made);
  const Dataset dataset = Dataset::open(path("pack.h5"));
  const std::vector<std::uint32_t> rows = {7, 2, 4};

  const PackedBatch batch = assemble(dataset, rows);

  ASSERT_EQ(batch.cu_seqlens.size(), 7u);
  EXPECT_EQ(batch.cu_seqlens.front(), 0);
  EXPECT_EQ(static_cast<std::size_t>(batch.cu_seqlens.back()), batch.token_ids.size());
  EXPECT_EQ(batch.rows, rows);
  for (std::size_t s = 0; s < 6; ++s) {
    const std::uint64_t input = rows[s / 2] * 2ULL + s % 2;
    std::vector<std::int32_t> expected(dataset.length(input));
    dataset.copy_tokens(input, expected.data());
    const auto begin = static_cast<std::size_t>(batch.cu_seqlens[s]);
    ASSERT_EQ(static_cast<std::size_t>(batch.cu_seqlens[s + 1]) - begin, expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(batch.token_ids[begin + i], expected[i]);
      EXPECT_EQ(batch.positions[begin + i], static_cast<std::int32_t>(i));
      const auto pair_start = dataset.pair_start(input);
      EXPECT_EQ(batch.segments[begin + i], pair_start != 0 && i >= pair_start ? 1 : 0);
    }
  }
  ASSERT_EQ(batch.targets.size(), 9u);
  EXPECT_EQ(batch.targets[3], 2.0F);
  EXPECT_EQ(batch.features[4], -4.0F);
  EXPECT_THROW(assemble(dataset, std::vector<std::uint32_t>{9}), std::out_of_range);
}

}  // namespace
}  // namespace meshfold::data
