#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "models/directory/export_model.hpp"
#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/files/safetensors.hpp"
#include "models/networks/model.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;

const std::vector<std::vector<std::int64_t>> kTexts{
    {101, 7592, 2088, 102}, {101, 102}, {101, 2023, 2003, 1037, 2936, 6251, 1010, 2007, 7826, 1012, 102}};

PackedInput packed() {
  PackedInput input;
  std::vector<std::int64_t> ids, positions;
  input.cu_seqlens = {0};
  for (const auto& text : kTexts) {
    for (std::size_t i = 0; i < text.size(); ++i) positions.push_back(static_cast<std::int64_t>(i));
    ids.insert(ids.end(), text.begin(), text.end());
    input.cu_seqlens.push_back(static_cast<std::int32_t>(ids.size()));
    input.philox_rows.push_back(static_cast<std::uint32_t>(input.philox_rows.size()));
  }
  input.token_ids = at::tensor(ids, at::kLong);
  input.positions = at::tensor(positions, at::kLong);
  input.segments = at::zeros_like(input.token_ids);
  return input;
}

HeadConfig six_targets(Pooling pooling) {
  HeadConfig head;
  head.pooling = pooling;
  head.labels = {"mean", "sd", "share_negative", "share_neutral", "share_positive", "median"};
  head.dropout = 0.25;
  return head;
}

class ExportTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* data = std::getenv("MESHFOLD_TEST_DATA");
    const char* oracles = std::getenv("MESHFOLD_ORACLES");
    source_ = fs::path(data ? data : "") / "minilm";
    if (!data || !oracles || !fs::exists(source_))
      FAIL() << "needs minilm in MESHFOLD_TEST_DATA; scripts/test fetches it";
    directory_ = fs::path(oracles) / "export";
    fs::create_directories(directory_);
  }

  /// Exports the real backbone with a fresh head to <oracles>/export/<name>, with the logits of kTexts beside it.
  LoadedModel exported(const std::string& name, Pooling pooling) const {
    LoadOptions options;
    options.head = six_targets(pooling);
    options.dropout.hidden = 0.05;
    options.seed = 11;
    LoadedModel loaded = load_model(source_, options);
    fs::remove_all(directory_ / name);
    export_model(*loaded.model, source_, directory_ / name);
    write_safetensors(directory_ / (name + ".logits.safetensors"),
                      {{"logits", loaded.model->forward(packed(), {}).contiguous()}}, {});
    return loaded;
  }

  fs::path source_, directory_;
};

TEST_F(ExportTest, ListsWhatLoadingLeftOutAndDrew) {
  const LoadReport cls = exported("cls", Pooling::kCls).report;
  const LoadReport mean = exported("mean", Pooling::kMean).report;

  const std::vector<std::string> fresh{"classifier.weight", "classifier.bias"};
  EXPECT_EQ(cls.left_out, std::vector<std::string>{"embeddings.position_ids"});
  EXPECT_EQ(cls.initialized, fresh);
  EXPECT_EQ(mean.initialized, fresh);
  EXPECT_EQ(mean.left_out,
            (std::vector<std::string>{"embeddings.position_ids", "pooler.dense.bias", "pooler.dense.weight"}));
}

TEST_F(ExportTest, LoadsBackWithTheSameBitsAndHead) {
  for (const auto& [name, pooling] : {std::pair{"cls", Pooling::kCls}, {"mean", Pooling::kMean}}) {
    const LoadedModel first = exported(name, pooling);

    const LoadedModel second = load_model(directory_ / name, {});

    EXPECT_EQ(first.model->parameters().hash(), second.model->parameters().hash());
    EXPECT_TRUE(second.report.initialized.empty() && second.report.left_out.empty());
    EXPECT_EQ(second.model->head().labels, six_targets(pooling).labels);
    EXPECT_EQ(second.model->head().pooling, pooling);
    EXPECT_EQ(second.model->head().task, Task::kRegression);
    EXPECT_TRUE(at::equal(first.model->forward(packed(), {}), second.model->forward(packed(), {})));
  }
}

TEST_F(ExportTest, NeverWritesOverADirectoryAndLeavesNoScraps) {
  const LoadedModel loaded = exported("kept", Pooling::kCls);

  EXPECT_THROW(export_model(*loaded.model, source_, directory_ / "kept"), ModelFileError);
  EXPECT_THROW(export_model(*loaded.model, source_ / "absent", directory_ / "failed"), ModelFileError);

  EXPECT_FALSE(fs::exists(directory_ / "failed"));
  for (const auto& entry : fs::directory_iterator(directory_)) {
    EXPECT_FALSE(entry.path().filename().string().starts_with(".tmp-")) << entry.path();
  }
}

}  // namespace
}  // namespace meshfold::models
