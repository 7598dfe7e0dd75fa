#include "jobs/train/feature_scales.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "data/dataset_writer.hpp"
#include "data/hdf5_handle.hpp"
#include "tests/data/temporary_directory.hpp"

namespace meshfold::jobs {
namespace {

data::Dataset dataset_of(const std::filesystem::path& file, const std::vector<float>& features, std::uint32_t width) {
  data::DatasetPart part;
  part.features = features;
  for (std::size_t i = 0; i < features.size() / width; ++i) {
    part.ids.push_back(std::to_string(i));
    part.lengths.push_back(1);
    part.pair_starts.push_back(0);
    part.tokens.push_back(7);
  }
  data::DatasetLayout layout;
  layout.num_samples = layout.num_tokens = part.ids.size();
  for (const auto& id : part.ids) layout.num_id_bytes += id.size();
  layout.num_features = width;
  data::DatasetWriter writer(file, layout, H5P_FILE_ACCESS_DEFAULT);
  writer.write(part);
  writer.close();
  return data::Dataset::open(file);
}

TEST(FeatureScales, AreOfTheGivenRowsAlone) {
  const meshfold::TemporaryDirectory directory;
  const auto dataset = dataset_of(directory.path() / "f.h5", {1, 10, 1e9F, -7, 3, 30, 8, 20}, 2);
  models::HeadConfig head;
  head.features = {{"x"}, {"y"}};

  const auto fitted = with_feature_scales(head, dataset, std::vector<std::uint32_t>{0, 2, 3});

  EXPECT_DOUBLE_EQ(fitted.features[0].mean, 4.0);
  EXPECT_DOUBLE_EQ(fitted.features[0].scale, std::sqrt((9.0 + 1 + 16) / 3));
  EXPECT_DOUBLE_EQ(fitted.features[1].mean, 20.0);
  EXPECT_DOUBLE_EQ(fitted.features[1].scale, std::sqrt(200.0 / 3));
  EXPECT_EQ(fitted.features[1].name, "y");
}

TEST(FeatureScales, OfAConstantAreItsValueAndOne) {
  const meshfold::TemporaryDirectory directory;
  const auto dataset = dataset_of(directory.path() / "f.h5", std::vector<float>(7, 0.1F), 1);
  models::HeadConfig head;
  head.features = {{"x"}};

  const auto fitted = with_feature_scales(head, dataset, std::vector<std::uint32_t>{0, 1, 2, 3, 4, 5, 6});

  EXPECT_EQ(fitted.features[0].mean, static_cast<double>(0.1F));
  EXPECT_EQ(fitted.features[0].scale, 1.0);
  EXPECT_THROW(with_feature_scales({}, dataset, {}), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::jobs
