#include "models/files/safetensors.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <random>

#include "base/durable_file.hpp"
#include "models/error.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;
using Named = std::vector<std::pair<std::string, at::Tensor>>;

fs::path scratch(const std::string& name) { return fs::path(::testing::TempDir()) / ("meshfold_" + name); }

std::string bytes_of(const fs::path& file) {
  std::ifstream input(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(input), {}};
}

void write_bytes(const fs::path& file, const std::string& bytes) { std::ofstream(file, std::ios::binary) << bytes; }

std::string with_header(const std::string& json, std::size_t data_bytes) {
  std::string length(8, '\0');
  for (std::size_t i = 0; i < 8; ++i) length[i] = static_cast<char>((json.size() >> (8 * i)) & 0xFF);
  return length + json + std::string(data_bytes, 'x');
}

/// "" if the bytes open, else the message.
std::string refusal(const std::string& bytes) {
  const fs::path file = scratch("refused.safetensors");
  write_bytes(file, bytes);
  try {
    SafetensorsFile::open(file);
    return "";
  } catch (const ModelFileError& error) {
    return error.what();
  }
}

/// The tensors that the Python side of this test makes too (safetensors_oracle.py).
Named sample_tensors() {
  return {{"bytes", at::arange(3, at::kByte)},
          {"half", (at::arange(6, at::kFloat) / 4).to(at::kHalf).view({2, 3})},
          {"brain", (at::arange(6, at::kFloat) / 4 - 1).to(at::kBFloat16).view({3, 2})},
          {"long", at::arange(4, at::kLong) * -1000000007},
          {"größe/尺寸", at::arange(24, at::kFloat).view({2, 3, 4})},
          {"scalar", at::full({}, 2.5, at::kDouble)},
          {"flags", at::arange(5, at::kLong).remainder(2).to(at::kBool)},
          {"empty", at::empty({0, 7}, at::kFloat)}};
}

void expect_sample(const SafetensorsFile& file) {
  ASSERT_EQ(file.entries().size(), sample_tensors().size());
  for (const auto& [name, tensor] : sample_tensors()) {
    EXPECT_EQ(file.entries().at(name).type, tensor.scalar_type()) << name;
    EXPECT_TRUE(at::equal(file.tensor(name), tensor)) << name;
  }
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

TEST(Safetensors, ReadsBackWhatItWrote) {
  const fs::path file = scratch("own.safetensors");

  write_safetensors(file, sample_tensors(), {{"format", "pt"}});

  expect_sample(SafetensorsFile::open(file));
}

TEST(Safetensors, ExchangesFilesWithPython) {
  const char* oracles = std::getenv("MESHFOLD_ORACLES");
  const fs::path directory = fs::path(oracles ? oracles : "") / "safetensors";
  if (!oracles || !fs::exists(directory / "python.safetensors"))
    FAIL() << "the Python side was not run; ctest runs it first";

  expect_sample(SafetensorsFile::open(directory / "python.safetensors"));
  write_safetensors(directory / "ours.safetensors", sample_tensors(),
                    {{"format", "pt"}});  // read by safetensors.python
}

TEST(Safetensors, BeginsItsDataAlignedAndEveryTensorAtAMultipleOfItsWidth) {
  const fs::path file = scratch("aligned.safetensors");
  write_safetensors(file, sample_tensors(), {});

  const std::string bytes = bytes_of(file);
  std::uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i)
    header_bytes = header_bytes << 8 | static_cast<unsigned char>(bytes[static_cast<std::size_t>(i)]);
  EXPECT_EQ((8 + header_bytes) % 64, 0U);
  const SafetensorsFile opened = SafetensorsFile::open(file);
  for (const auto& [name, entry] : opened.entries()) EXPECT_EQ(entry.begin % c10::elementSize(entry.type), 0U) << name;
}

TEST(Safetensors, ReadsAnyBoxAndWidensSixteenBitFloats) {
  const at::Tensor whole = at::randn({4, 5, 6});
  const fs::path path = scratch("boxes.safetensors");
  write_safetensors(
      path, {{"f", whole}, {"h", whole.to(at::kHalf)}, {"b", whole.to(at::kBFloat16)}, {"i", at::arange(4, at::kLong)}},
      {});
  const SafetensorsFile file = SafetensorsFile::open(path);
  std::mt19937 random(1);
  for (int trial = 0; trial < 300; ++trial) {
    Box box;
    at::Tensor expected = whole;
    for (const std::int64_t extent : {4, 5, 6}) {
      const auto start = static_cast<std::int64_t>(random() % static_cast<unsigned>(extent + 1));
      const auto count = random() % 3 == 0
                             ? extent - start
                             : static_cast<std::int64_t>(random() % static_cast<unsigned>(extent - start + 1));
      expected = expected.narrow(static_cast<std::int64_t>(box.start.size()), start, count);
      box.start.push_back(start);
      box.extent.push_back(count);
    }
    for (const auto& [name, type] : {std::pair{"f", at::kFloat}, {"h", at::kHalf}, {"b", at::kBFloat16}}) {
      const at::Tensor out = at::full(box.extent, -77.0);
      file.read_box(name, box, out);
      ASSERT_TRUE(at::equal(out, expected.to(type).to(at::kFloat))) << name << " trial " << trial;
    }
  }
  EXPECT_THROW(file.read_box("f", {{0, 0, 3}, {1, 1, 4}}, at::empty({1, 1, 4})), ModelFileError);
  EXPECT_THROW(file.read_box("i", {{0}, {4}}, at::empty({4})), ModelFileError) << "integers are not weights";
  EXPECT_THROW(file.tensor("absent"), ModelFileError);
}

TEST(Safetensors, NamesTheFaultOfADamagedFile) {
  const auto entry = [](const std::string& name, int begin, int end, const std::string& shape = "[4]",
                        const std::string& type = "U8") {
    return "\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":" + shape + ",\"data_offsets\":[" +
           std::to_string(begin) + "," + std::to_string(end) + "]}";
  };
  const struct {
    std::string json;
    std::size_t data_bytes;
    std::string fault;
  } cases[] = {
      {"{" + entry("a", 0, 4) + "," + entry("b", 4, 8) + "}", 8, ""},
      {"{" + entry("a", 0, 4) + "}  ", 4, ""},
      {"{" + entry("a", 0, 4) + "," + entry("b", 2, 6) + "}", 6, "overlaps"},
      {"{" + entry("a", 0, 4) + "," + entry("b", 6, 10) + "}", 10, "gap"},
      {"{" + entry("a", 1, 5) + "}", 5, "gap"},
      {"{" + entry("a", 0, 4) + "}", 9, "of 9 bytes"},
      {"{" + entry("a", 0, 4) + "}", 3, "beyond the end"},
      {"{" + entry("a", 4, 0) + "}", 4, "ends before"},
      {"{" + entry("a", 0, 4, "[5]") + "}", 4, "shape"},
      {"{" + entry("a", 0, 4, "[-4]") + "}", 4, "natural number"},
      {"{" + entry("a", 0, 4, "[4294967296,4294967296,4]") + "}", 4, "larger than any file"},
      {"{" + entry("a", 0, 4, "4") + "}", 4, "no list"},
      {"{" + entry("a", 0, 4, "[4]", "F12") + "}", 4, "F12"},
      {"{" + entry("a", 0, 4) + "," + entry("a", 0, 4) + "}", 4, "twice"},
      {R"({"a":{"dtype":"U8","shape":[4],"shape":[4],"data_offsets":[0,4]}})", 4, "twice"},
      {R"({"a":{"dtype":"U8","shape":[4]}})", 4, "exactly"},
      {R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0]}})", 4, "two data_offsets"},
      {R"({"__metadata__":{"n":1}})", 0, "no string"},
      {"[]", 0, "no JSON object"},
      {"{\"a\":", 0, "not JSON"},
      {"{\"\xff\":1}", 0, "not JSON"},
      {"", 0, "no JSON object"},
  };
  for (const auto& [json, data_bytes, fault] : cases) {
    const std::string message = refusal(with_header(json, data_bytes));
    if (fault.empty()) {
      EXPECT_EQ(message, "") << json;
    } else {
      EXPECT_NE(message.find(fault), std::string::npos) << json << " -> '" << message << "'";
      EXPECT_NE(message.find("refused.safetensors"), std::string::npos);
      EXPECT_EQ(message.find('\n'), std::string::npos);
    }
  }
}

TEST(Safetensors, RefusesEveryTruncationAndSurvivesEveryDamagedHeaderByte) {
  const fs::path file = scratch("whole.safetensors");
  write_safetensors(file, sample_tensors(), {{"format", "pt"}});
  const std::string whole = bytes_of(file);
  ASSERT_EQ(refusal(whole), "");

  for (std::size_t size = 0; size < whole.size(); ++size)
    ASSERT_NE(refusal(whole.substr(0, size)), "") << size << " bytes";
  EXPECT_NE(refusal(whole + "x"), "");
  std::string huge = whole;
  huge[7] = '\x7f';
  EXPECT_NE(refusal(huge).find("does not fit"), std::string::npos);
  std::mt19937 random(2);
  for (int trial = 0; trial < 3000;
       ++trial) {  // either refused with ModelFileError or opened with all tensors inside the file
    std::string damaged = whole;
    for (int hits = 0; hits < 2; ++hits) damaged[random() % 900 % damaged.size()] = static_cast<char>(random());
    const fs::path path = scratch("damaged.safetensors");
    write_bytes(path, damaged);
    try {
      const SafetensorsFile opened = SafetensorsFile::open(path);
      for (const auto& [name, entry] : opened.entries()) {
        ASSERT_LE(entry.end, damaged.size());
        opened.tensor(name);
      }
    } catch (const ModelFileError&) {
    }
  }
  EXPECT_THROW(SafetensorsFile::open(scratch("absent.safetensors")), ModelFileError);
  EXPECT_THROW(SafetensorsFile::open(::testing::TempDir()), ModelFileError);
}

TEST(Safetensors, SaysWhyAFileCannotBeMapped) {
  const auto complaint = [](const fs::path& file) {
    try {
      SafetensorsFile::open(file);
    } catch (const ModelFileError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  const fs::path absent = scratch("absent.safetensors"), directory = ::testing::TempDir();

  EXPECT_EQ(complaint(absent), absent.string() + ": cannot be read: No such file or directory");
  EXPECT_EQ(complaint(directory), directory.string() + ": cannot be read: Is a directory");
  EXPECT_TRUE(refusal("1234567").ends_with(": the file of 7 bytes is too short to hold tensors; fetch it again"));
}

TEST(Safetensors, RefusesToWriteWhatCouldNotBeReadBack) {
  const fs::path file = scratch("unwritten.safetensors");
  const at::Tensor one = at::ones({2, 3});
  EXPECT_THROW(write_safetensors(file, {{"a", one}, {"a", one}}, {}), std::invalid_argument);
  EXPECT_THROW(write_safetensors(file, {{"__metadata__", one}}, {}), std::invalid_argument);
  EXPECT_THROW(write_safetensors(file, {{"a", one.t()}}, {}), std::invalid_argument);
  EXPECT_THROW(write_safetensors(scratch("no_such_directory") / "f", {{"a", one}}, {}), base::StorageError);
}

}  // namespace
}  // namespace meshfold::models
