#include "models/files/zip_archive.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/models/torch_archive.hpp"

namespace meshfold::models {
namespace {

using testing::little_endian;
using testing::zip_of;

/// "" if the archive opens, else why not.
std::string refusal(const std::string& bytes) {
  try {
    ZipArchive{bytes};
    return "";
  } catch (const ZipError& error) {
    return error.what();
  }
}

std::string replaced(std::string bytes, std::size_t position, const std::string& with) {
  return bytes.replace(position, with.size(), with);
}

const std::string kTwo = zip_of({{"first", "abc"}, {"second", "defgh"}});
const std::size_t kDirectory = kTwo.find("PK\x01\x02"), kEnd = kTwo.find("PK\x05\x06");

TEST(ZipArchive, HandsOutTheBytesOfEveryEntry) {
  const ZipArchive archive(kTwo);

  ASSERT_EQ(archive.entries().size(), 2U);
  EXPECT_EQ(archive.find("first")->bytes, "abc");
  EXPECT_EQ(archive.find("second")->bytes, "defgh");
  EXPECT_EQ(archive.find("second")->crc, base::crc32("defgh"));
  EXPECT_EQ(archive.find("third"), nullptr);
  EXPECT_EQ(refusal(kTwo.substr(0, kTwo.size() - 2) + little_endian(5, 2) + "words"), "") << "a comment is allowed";
}

TEST(ZipArchive, NamesTheFaultOfADamagedArchive) {
  const std::size_t second_listed = kTwo.find("PK\x01\x02", kDirectory + 1);
  const struct {
    std::string bytes, fault;
  } cases[] = {
      {"", "cut short"},
      {std::string(100, 'x'), "no directory at its end"},
      {replaced(kTwo, kDirectory + 8, little_endian(1, 2)), "encrypted"},
      {replaced(kTwo, kDirectory + 10, little_endian(8, 2)), "compressed"},
      {replaced(kTwo, kDirectory + 20, little_endian(2, 4)), "compressed"},
      {replaced(kTwo, 8, little_endian(8, 2)), "compressed"},
      {replaced(kTwo, kDirectory + 20, little_endian(0xFFFFFF00, 4) + little_endian(0xFFFFFF00, 4)), "leaves the file"},
      {replaced(kTwo, kDirectory + 34, little_endian(1, 2)), "several files"},
      {replaced(kTwo, kDirectory + 42, little_endian(1, 4)), "without its header"},
      {replaced(kTwo, kDirectory + 42, little_endian(kTwo.size(), 4)), "leaves the file"},
      {replaced(kTwo, kDirectory + 46, "firsT"), "two ways"},
      {replaced(kTwo, second_listed + 42, little_endian(0, 4)), "two ways"},
      {replaced(kTwo, kDirectory, "PX"), "damaged directory"},
      {replaced(kTwo, kEnd + 8, little_endian(1, 2) + little_endian(1, 2)), "more entries than it counts"},
      {replaced(kTwo, kEnd + 8, little_endian(3, 2) + little_endian(3, 2)), "leaves the file"},
      {replaced(kTwo, kEnd + 8, little_endian(1, 2)), "several files"},
      {replaced(kTwo, kEnd + 16, little_endian(kEnd + 1, 4)), "beyond its end"},
      {replaced(kTwo, kEnd + 16, little_endian(0xFFFFFFFF, 4)), "no zip64 directory"},
      {zip_of({{"same", "abc"}, {"same", "def"}}), "two entries of one name"},
  };
  for (const auto& [bytes, fault] : cases) {
    EXPECT_NE(refusal(bytes).find(fault), std::string::npos) << fault << " -> '" << refusal(bytes) << "'";
  }
}

TEST(ZipArchive, RefusesEntriesThatShareBytes) {
  // The second entry's header and content lie inside the content of the first.
  const std::string inner = zip_of({{"x", "abc"}});
  const std::string archive = zip_of({{"outer", inner.substr(0, inner.find("PK\x01\x02"))}, {"x", "abc"}});
  const std::size_t listed = archive.find("PK\x01\x02", archive.find("PK\x01\x02") + 1);

  EXPECT_EQ(refusal(archive), "");
  EXPECT_NE(
      refusal(replaced(archive, listed + 42, little_endian(archive.find(inner.substr(0, 30)), 4))).find("overlap"),
      std::string::npos);
}

TEST(ZipArchive, RefusesEveryTruncationAndKeepsEveryEntryInsideTheBytes) {
  for (std::size_t size = 0; size < kTwo.size(); ++size) ASSERT_NE(refusal(kTwo.substr(0, size)), "") << size;
  std::mt19937 random(5);
  int opened = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    std::string damaged = kTwo;
    for (unsigned hit = 0; hit <= random() % 3; ++hit) damaged[random() % damaged.size()] = static_cast<char>(random());
    try {
      const ZipArchive archive(damaged);
      ++opened;
      for (const auto& [name, entry] : archive.entries()) {
        ASSERT_GE(entry.bytes.data(), damaged.data());
        ASSERT_LE(entry.bytes.data() + entry.bytes.size(), damaged.data() + damaged.size());
      }
    } catch (const ZipError&) {
    }
  }
  EXPECT_GT(opened, 1000) << "the damage should not always be fatal";
}

}  // namespace
}  // namespace meshfold::models
