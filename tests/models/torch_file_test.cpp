#include "models/files/torch_file.hpp"
#include "models/directory/load_model.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "models/error.hpp"
#include "models/files/safetensors.hpp"
#include "models/networks/model.hpp"
#include "tests/models/torch_archive.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;
using testing::pickled;
using testing::TensorPickle;

fs::path oracle() {
  const char* oracles = std::getenv("MESHFOLD_ORACLES");
  return fs::path(oracles ? oracles : "") / "torch_file";
}

std::string bytes_of(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(input), {}};
}

fs::path written(const std::string& bytes) {
  const fs::path file = fs::path(::testing::TempDir()) / "meshfold_torch_file.bin";
  std::ofstream(file, std::ios::binary) << bytes;
  return file;
}

std::string refusal(const fs::path& file) {
  try {
    TorchFile::open(file);
    return "";
  } catch (const ModelFileError& error) {
    return error.what();
  }
}

/// All bytes of all tensors; what that throws is the caller's.
void read_everything(const TorchFile& file) {
  for (const std::string& name : file.names()) file.tensor(name);
}

class TorchFileByTorch : public ::testing::TestWithParam<const char*> {};

TEST_P(TorchFileByTorch, HoldsTheTensorsThatWereSaved) {
  const TorchFile file = TorchFile::open(oracle() / GetParam());
  const SafetensorsFile expected = SafetensorsFile::open(oracle() / "state.safetensors");

  ASSERT_EQ(file.names(), expected.names());
  for (const std::string& name : expected.names()) {
    EXPECT_EQ(file.description(name).type, expected.description(name).type) << name;
    EXPECT_EQ(file.description(name).shape, expected.description(name).shape) << name;
    EXPECT_TRUE(
        at::equal(file.tensor(name).reshape({-1}).view(at::kByte), expected.tensor(name).reshape({-1}).view(at::kByte)))
        << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Files, TorchFileByTorch, ::testing::Values("state.bin", "protocol4.bin", "zip64.bin"),
                         [](const auto& file) { return fs::path(file.param).stem().string(); });

TEST(TorchFile, ReadsAnyBoxOfAnyView) {
  const TorchFile file = TorchFile::open(oracle() / "state.bin");
  std::mt19937 random(1);
  for (const std::string name :
       {"whole", "transposed", "rows", "columns", "windows", "channels", "half", "brain", "one"}) {
    const at::Tensor whole = file.tensor(name).to(at::kFloat);
    for (int trial = 0; trial < 200; ++trial) {
      Box box;
      at::Tensor expected = whole;
      for (std::int64_t d = 0; d < whole.dim(); ++d) {
        const std::int64_t start = static_cast<std::int64_t>(random() % 100) % (whole.size(d) + 1);
        const std::int64_t count = static_cast<std::int64_t>(random() % 100) % (whole.size(d) - start + 1);
        expected = expected.narrow(d, start, count);
        box.start.push_back(start);
        box.extent.push_back(count);
      }
      const at::Tensor out = at::full(box.extent, -77.0);

      file.read_box(name, box, out);

      ASSERT_TRUE(at::equal(out, expected)) << name << " trial " << trial;
    }
  }
  EXPECT_THROW(file.read_box("whole", {{0, 4}, {6, 5}}, at::empty({6, 5})), ModelFileError);
  EXPECT_THROW(file.read_box("long", {{0}, {5}}, at::empty({5})), ModelFileError) << "integers are not weights";
  EXPECT_THROW(file.tensor("absent"), ModelFileError);
}

TEST(TorchFile, RefusesWhatIsNoTableOfTensorsAndSaysHowToConvertIt) {
  const struct {
    std::string file, fault;
    bool conversion;
  } cases[] = {{"system.bin", "system', which", true},
               {"eval.bin", "eval', which", true},
               {"module.bin", "'torch.nn.modules.linear.Linear'", true},
               {"sparse.bin", "'torch._utils._rebuild_sparse_tensor'", true},
               {"quantized.bin", "'torch._utils._rebuild_qtensor'", true},
               {"conjugated.bin", "'torch.ComplexFloatStorage'", true},
               {"expanded.bin", "expanded tensor", true},
               {"nested.bin", "a dictionary under 'model'", true},
               {"number.bin", "an integer under 'epoch'", true},
               {"list.bin", "a list or tuple where a dictionary", true},
               {"legacy.bin", "torch before 1.6", true},
               {"deflated.bin", "the compressed entry 'state/data.pkl'", false},
               {"script.bin", "TorchScript", false},
               {"state.safetensors", "no file of torch.save", false}};
  for (const auto& [file, fault, conversion] : cases) {
    const std::string message = refusal(oracle() / file);
    EXPECT_NE(message.find(fault), std::string::npos) << file << " -> '" << message << "'";
    EXPECT_NE(message.find(file), std::string::npos);
    EXPECT_EQ(message.find('\n'), std::string::npos);
    EXPECT_EQ(message.find("python -c") != std::string::npos, conversion) << message;
  }
  std::ofstream(oracle() / "legacy_message.txt") << refusal(oracle() / "legacy.bin");  // its command is run afterwards
}

TEST(TorchFile, ComparesTheSumOfWhatItReads) {
  const std::string table = testing::table_of(pickled(TensorPickle{}));
  const std::string whole = testing::torch_archive(table, 16);
  ASSERT_EQ(refusal(written(whole)), "");
  std::string damaged_storage = whole, damaged_pickle = whole;
  damaged_storage[whole.find(std::string("\0\1\2\3", 4))] = 'x';
  damaged_pickle[whole.find("FloatStorage")] = 'f';

  const TorchFile opened = TorchFile::open(written(damaged_storage));
  try {
    opened.tensor("a");
    FAIL() << "read a damaged storage";
  } catch (const ModelFileError& error) {
    EXPECT_NE(std::string(error.what()).find("'m/data/0' do not have their CRC-32"), std::string::npos) << error.what();
  }
  EXPECT_NE(refusal(written(damaged_pickle)).find("'m/data.pkl' do not have their CRC-32"), std::string::npos);
}

TEST(TorchFile, NamesTheFaultOfADamagedArchive) {
  const std::string table = testing::table_of(pickled(TensorPickle{}));
  const std::string storage(16, 'x');
  const struct {
    std::string bytes, fault;
  } cases[] = {
      {testing::torch_archive(table, 16), ""},
      {testing::torch_archive(table, 15), "has 15 bytes where 16 belong"},
      {testing::torch_archive(table, 17), "has 17 bytes where 16 belong"},
      {testing::zip_of({{"m/data.pkl", table}, {"m/data/1", storage}}), "lacks the storage of tensor 'a'"},
      {testing::zip_of({{"m/data.pkl", table}, {"m/data/0", storage}}), ""},
      {testing::zip_of({{"m/data.pkl", table}, {"m/data/0", storage}, {"m/byteorder", "big"}}), "big-endian"},
      {testing::zip_of({{"m/data.pkl", table}, {"n/data.pkl", table}}), "two tables"},
      {testing::zip_of({{"m/data.pkl", table}, {"m/constants.pkl", ")."}}), "TorchScript program"},
      {testing::zip_of({{"data.pkl", table}}), "without data.pkl"},
      {testing::zip_of({{"m/n/data.pkl", table}}), "without data.pkl"},
      {testing::torch_archive(testing::table_of(pickled(TensorPickle{.key = "../byteorder"})), 16),
       "lacks the storage"},
      {testing::torch_archive("}.", 0), ""},
      {"", "too short"},
      {"PK", "no file of torch.save"},
      {"PK\x03\x04", "zip archive"},
  };
  for (const auto& [bytes, fault] : cases) {
    const std::string message = refusal(written(bytes));
    if (fault.empty()) {
      EXPECT_EQ(message, "");
    } else {
      EXPECT_NE(message.find(fault), std::string::npos) << fault << " -> '" << message << "'";
    }
  }
  EXPECT_NE(refusal(::testing::TempDir()), "");
  EXPECT_NE(refusal(oracle() / "absent.bin"), "");
}

TEST(TorchFile, SurvivesEveryTruncationAndSeededDamage) {
  const std::string whole = bytes_of(oracle() / "state.bin");
  for (std::size_t size = 0; size < whole.size(); size += 11) {
    ASSERT_NE(refusal(written(whole.substr(0, size))), "") << size << " bytes";
  }
  std::mt19937 random(2);
  int opened = 0;
  for (int trial = 0; trial < 2000; ++trial) {
    std::string damaged = whole;
    for (unsigned hit = 0; hit <= random() % 3; ++hit) damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      const TorchFile file = TorchFile::open(written(damaged));
      ++opened;
      read_everything(file);
    } catch (const ModelFileError&) {
    }
  }
  EXPECT_GT(opened, 100);
}

class WeightFiles : public ::testing::TestWithParam<const char*> {};

LoadOptions one_output() {
  LoadOptions options;
  options.head = HeadConfig{};
  options.head->labels = {"score"};
  return options;
}

TEST_P(WeightFiles, GiveTheSameModelInEachFormOfTheHub) {
  const LoadedModel expected = load_model(oracle() / "safetensors", one_output());

  const LoadedModel loaded = load_model(oracle() / GetParam(), one_output());

  EXPECT_EQ(loaded.model->parameters().hash(), expected.model->parameters().hash());
}

INSTANTIATE_TEST_SUITE_P(Forms, WeightFiles, ::testing::Values("torch", "sharded", "sharded_torch"),
                         [](const auto& form) { return std::string(form.param); });

class WeightFilesOf : public ::testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(directory_);
    fs::copy(oracle() / "sharded", directory_);
  }
  std::string refusal() const {
    try {
      load_model(directory_, one_output());
      return "";
    } catch (const ModelFileError& error) {
      return error.what();
    }
  }
  void replace_in_index(const std::string& from, const std::string& to) const {
    const fs::path index = directory_ / "model.safetensors.index.json";
    std::string text = bytes_of(index);
    const std::size_t place = text.find(from);
    ASSERT_NE(place, std::string::npos) << from;
    std::ofstream(index, std::ios::binary) << text.replace(place, from.size(), to);
  }
  fs::path directory_ = fs::path(::testing::TempDir()) / "meshfold_weight_files";
};

TEST_F(WeightFilesOf, ADirectoryWithSafetensorsAreReadFromThere) {
  std::ofstream(directory_ / "pytorch_model.bin") << "not read";
  EXPECT_EQ(refusal(), "");
  fs::remove(directory_ / "model.safetensors.index.json");
  EXPECT_NE(refusal().find("pytorch_model.bin: is no file of torch.save"), std::string::npos) << refusal();
  fs::remove(directory_ / "pytorch_model.bin");
  EXPECT_NE(refusal().find("model.safetensors: is missing"), std::string::npos) << refusal();
}

TEST_F(WeightFilesOf, ADirectoryAgreeWithItsIndex) {
  replace_in_index("embeddings.LayerNorm.bias", "embeddings.LayerNorm.beta");
  EXPECT_NE(refusal().find("differ in tensor 'embeddings.LayerNorm.b"), std::string::npos) << refusal();
  replace_in_index("model-0000", "../model-0000");
  EXPECT_NE(refusal().find("outside the directory"), std::string::npos) << refusal();
  replace_in_index("weight_map", "weights");
  EXPECT_NE(refusal().find("needs a key weight_map"), std::string::npos) << refusal();
}

}  // namespace
}  // namespace meshfold::models
