#include "base/checksum.hpp"

#include <gtest/gtest.h>

namespace meshfold::base {
namespace {

std::string counted_bytes(std::size_t count) {
  std::string bytes;
  for (std::size_t i = 0; i < count; ++i) bytes += static_cast<char>(i * 7 % 251);
  return bytes;
}

/// The values of libxxhash itself, printed as its xxhsum prints them.
TEST(Xxh3, GivesTheKnownAnswers) {
  EXPECT_EQ(xxh3_128_hex(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(xxh3_128_hex("abc"), "06b05ab6733a618578af5f94892f3950");
  EXPECT_EQ(xxh3_128_hex(counted_bytes(1000)), "5ed35fc6b4f0ef20d1eb8367bf3294e7");
  EXPECT_EQ(xxh3_64_hex(""), "2d06800538d394c2");
  EXPECT_EQ(xxh3_64_hex("abc"), "78af5f94892f3950");
}

TEST(Xxh3, KeepsTheZerosThatDigitsBeginWith) { EXPECT_EQ(xxh3_64_hex("91"), "004901d6d0084f13"); }

TEST(Xxh3, IsTheSameInPiecesAsInOne) {
  const std::string bytes = counted_bytes(3000);
  Xxh3Stream stream;
  stream.add(bytes.data(), 1);
  stream.add(std::string_view(bytes).substr(1, 1999));
  EXPECT_EQ(stream.hex(), xxh3_128_hex(bytes.substr(0, 2000))) << "a stream can be asked in between";
  stream.add("");
  stream.add(std::string_view(bytes).substr(2000));

  EXPECT_EQ(stream.hex(), xxh3_128_hex(bytes));
}

TEST(Sha256, GivesTheKnownAnswersOfFips180) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(sha256_hex(std::string(1000000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Crc32, GivesTheKnownAnswers) {
  EXPECT_EQ(crc32("123456789"), 0xCBF43926U);
  EXPECT_EQ(crc32(""), 0U);
  EXPECT_EQ(crc32("The quick brown fox jumps over the lazy dog"), 0x414FA339U);
}

TEST(Crc32c, GivesTheValuesOfRfc3720) {
  std::string ascending, descending;
  for (int i = 0; i < 32; ++i) {
    ascending += static_cast<char>(i);
    descending += static_cast<char>(31 - i);
  }

  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xFF')), 0x62A8AB43U);
  EXPECT_EQ(crc32c(ascending), 0x46DD794EU);
  EXPECT_EQ(crc32c(descending), 0x113FDB5CU);
}

}  // namespace
}  // namespace meshfold::base
