#include "models/files/torch_pickle.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "tests/models/torch_archive.hpp"

namespace meshfold::models {
namespace {

using testing::little_endian;
using testing::pickled;
using testing::table_of;
using testing::TensorPickle;

std::string refusal(const std::string& pickle) {
  try {
    read_torch_pickle(pickle);
    return "";
  } catch (const PickleRefusal& error) {
    return error.what();
  }
}

TEST(TorchPickle, DescribesATensorByItsStorage) {
  const auto tensors = read_torch_pickle(
      table_of(pickled(TensorPickle{.offset = 1, .shape = {2, 3}, .strides = {1, 2}, .storage_elements = 7})));

  ASSERT_EQ(tensors.size(), 1U);
  const PickledTensor& tensor = tensors.at("a");
  EXPECT_EQ(tensor.description.type, at::kFloat);
  EXPECT_EQ(tensor.description.shape, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(tensor.strides, (std::vector<std::int64_t>{1, 2}));
  EXPECT_EQ(tensor.offset, 1);
  EXPECT_EQ(tensor.storage, "0");
  EXPECT_EQ(tensor.storage_bytes, 28);
}

TEST(TorchPickle, RefusesTensorsOutsideTheirStorage) {
  constexpr std::int64_t kHuge = std::numeric_limits<std::int64_t>::max();
  const struct {
    TensorPickle tensor;
    std::string fault;
  } cases[] = {
      {{}, ""},
      {{.shape = {0}}, ""},
      {{.offset = 4, .shape = {0}}, ""},
      {{.shape = {2, 2}, .strides = {0, 1}}, ""},
      {{.offset = 1}, "beyond its storage"},
      {{.shape = {5}}, "beyond its storage"},
      {{.strides = {2}}, "beyond its storage"},
      {{.offset = 5, .shape = {0}}, "begins outside"},
      {{.offset = -1}, "begins outside"},
      {{.shape = {-4}}, "negative number"},
      {{.strides = {-1}}, "negative number"},
      {{.shape = {2, 2}}, "other numbers of extents"},
      {{.shape = {5}, .strides = {0}}, "expanded"},
      {{.shape = {kHuge, kHuge}, .strides = {0, 0}}, "larger than any file"},
      {{.shape = {0, kHuge, kHuge}, .strides = {0, 0, 0}}, "larger than any file"},
      {{.shape = {2}, .strides = {kHuge}}, "beyond its storage"},
      {{.offset = 1, .shape = {2}, .strides = {kHuge}}, "larger than any file"},
      {{.shape = {3}, .strides = {kHuge}}, "larger than any file"},
      {{.storage_elements = kHuge}, "larger than any file"},
      {{.storage_elements = -1}, "negative size"},
      {{.shape = std::vector<std::int64_t>(17, 1), .strides = std::vector<std::int64_t>(17, 1)}, "more than 16 dims"},
      {{.key = std::string(65, '0')}, "more than 64 bytes"},
      {{.storage_class = "ctorch\nQInt8Storage\n"}, "'torch.QInt8Storage'"},
      {{.storage_class = "ctorch\nfloat32\n"}, "an element type where a storage class"},
      {{.storage_class = "ctorch.storage\nUntypedStorage\n"}, "storage is of the wrong kind"},
  };
  for (const auto& [tensor, fault] : cases) {
    const std::string message = refusal(table_of(pickled(tensor)));
    if (fault.empty()) {
      EXPECT_EQ(message, "");
    } else {
      EXPECT_NE(message.find(fault), std::string::npos) << fault << " -> '" << message << "'";
    }
  }
}

TEST(TorchPickle, RefusesEverythingThatCouldRun) {
  const struct {
    std::string pickle, fault;
  } cases[] = {
      {"cposix\nsystem\n" + pickled("ls") + "\x85R.", "'posix.system'"},
      {"cbuiltins\neval\n.", "'builtins.eval'"},
      {"ctorch\nload\n.", "'torch.load'"},
      {"ctorch._utils\n_rebuild_tensor\n.", "'torch._utils._rebuild_tensor'"},
      {"ctorch\n\n.", "'torch.'"},
      {"ccollections.OrderedDict\nfromkeys\n.", "'collections.OrderedDict.fromkeys'"},
      {"\x80\x04\x8c\x02os\x8c\x06system\x93.", "'os.system'"},
      {"c\x1b[31m\nevil\x07\n.", "'?[31m.evil?'"},
      {"c" + std::string(500, 'm') + "\nn\n.", "mmm...'"},
      {"(ios\nsystem\n.", "instruction 0x69"},
      {"(cos\nsystem\no.", "'os.system'"},
      {"(o.", "instruction 0x6f"},
      {"N)\x81.", "instruction 0x81"},
      {"\x82\x01.", "instruction 0x82"},
      {"Pid\n.", "instruction 0x50"},
      {"\x80\x06.", "protocol 6"},
      {"}}b.", ""},
      {"}}" + pickled("__dict__") + "Nsb.", "attribute other than _metadata"},
      {"N}b.", "adds to None"},
      {"}Nb.", "state of an object"},
      {"}}K\x01Nsb.", "attribute other than _metadata"},
      {"K\x01)R.", "an integer where a function"},
      {"ccollections\nOrderedDict\n]R.", "a list where a tuple of arguments"},
      {"ccollections\nOrderedDict\nN\x85R.", "OrderedDict from values"},
      {"ctorch._utils\n_rebuild_parameter\nNNN\x87R.", "None where a tensor"},
      {"ctorch._utils\n_rebuild_tensor_v2\n)R.", "wrong number of values"},
      {"NQ.", "None where the tuple that names a storage"},
      {")Q.", "wrong number of values"},
  };
  for (const auto& [pickle, fault] : cases) {
    const std::string message = refusal(pickle);
    if (fault.empty()) {
      EXPECT_EQ(message, "") << pickle;
    } else {
      EXPECT_NE(message.find(fault), std::string::npos) << fault << " -> '" << message << "'";
      EXPECT_EQ(message.find('\n'), std::string::npos);
    }
  }
}

TEST(TorchPickle, RefusesBrokenStacksAndTables) {
  const std::string tensor = pickled(TensorPickle{});
  const struct {
    std::string pickle, fault;
  } cases[] = {
      {"", "cut short"},
      {".", "values left over"},
      {"NN.", "values left over"},
      {"}(.", "values left over"},
      {"N.", "None where a dictionary"},
      {"t.", "a mark where there is none"},
      {"N(\x85.", "takes a value where there is none"},
      {"R.", "takes a value where there is none"},
      {"h\x05.", "never stored"},
      {"q\x01.", "takes a value where there is none"},
      {")Na.", "tuple as if it were a list"},
      {"}Na.", "a dictionary as if it were a list"},
      {"NNNs.", "None as if it were a dictionary"},
      {"}(Nu.", "a key without a value"},
      {"\x8a\x09" + std::string(9, '\0') + ".", "more than 64 bits"},
      {"X\xff\xff\xff\xff"
       "a",
       "cut short"},
      {"\x8d" + little_endian(~std::uint64_t{0}, 8) + "a", "cut short"},
      {"cposix", "cut short"},
      {table_of("K\x01"), "an integer under 'a'"},
      {table_of("}"), "a dictionary under 'a'"},
      {"}K\x01" + tensor + "s.", "an integer as the name"},
      {"}(" + pickled("a") + tensor + pickled("a") + tensor + "u.", "two tensors of the name 'a'"},
      {std::string(16 << 20, 'N') + "N", "larger than 16 MiB"},
      {std::string(1'000'001, 'N') + ".", "more than a million values"},
  };
  for (const auto& [pickle, fault] : cases) {
    EXPECT_NE(refusal(pickle).find(fault), std::string::npos) << fault << " -> '" << refusal(pickle) << "'";
  }
}

TEST(TorchPickle, BearsValuesThatContainThemselvesAndDeepNesting) {
  EXPECT_NE(refusal("]q\x01h\x01"
                    "a.")
                .find("a list or tuple where a dictionary"),
            std::string::npos);
  EXPECT_NE(refusal("}q\x01" + pickled("a") + "h\x01s.").find("a dictionary under 'a'"), std::string::npos);
  EXPECT_NE(refusal("N" + std::string(900'000, '\x85') + ".").find("a list or tuple"), std::string::npos);
  EXPECT_NE(refusal(std::string(900'000, '(') + "N.").find("left over"), std::string::npos);
}

TEST(TorchPickle, GivesOnlyTensorsInsideTheirStorageForAnyDamage) {
  std::string pickle = "\x80\x02}(";
  for (const char* name : {"a", "b", "c"}) {
    pickle +=
        pickled(name) + pickled(TensorPickle{.offset = 1, .shape = {2, 3}, .strides = {3, 1}, .storage_elements = 7});
  }
  pickle += "u.";
  ASSERT_EQ(read_torch_pickle(pickle).size(), 3U);
  for (std::size_t size = 0; size < pickle.size(); ++size) ASSERT_NE(refusal(pickle.substr(0, size)), "") << size;
  std::mt19937 random(7);
  int read = 0;
  for (int trial = 0; trial < 30000; ++trial) {
    std::string damaged = pickle;
    for (unsigned hit = 0; hit <= random() % 2; ++hit) {
      const std::size_t place = random() % damaged.size();
      if (random() % 4 == 0) {
        damaged.erase(place, random() % 4);
      } else {
        damaged[place] = random() % 2 == 0 ? static_cast<char>(random()) : damaged[random() % damaged.size()];
      }
    }
    try {
      for (const auto& [name, tensor] : read_torch_pickle(damaged)) {
        std::int64_t last = tensor.offset, count = 1;
        for (std::size_t d = 0; d < tensor.strides.size(); ++d) {
          last += (tensor.description.shape[d] - 1) * tensor.strides[d];
          count *= tensor.description.shape[d];
        }
        if (count == 0) continue;
        const auto width = static_cast<std::int64_t>(c10::elementSize(tensor.description.type));
        ASSERT_LT(last * width, tensor.storage_bytes);
        ASSERT_LE(count * width, tensor.storage_bytes);
      }
      ++read;
    } catch (const PickleRefusal&) {
    }
  }
  EXPECT_GT(read, 1000) << "the damage should not always be fatal";
}

}  // namespace
}  // namespace meshfold::models
