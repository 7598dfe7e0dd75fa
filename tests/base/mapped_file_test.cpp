#include "base/mapped_file.hpp"

#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

#include "tests/data/temporary_directory.hpp"

namespace meshfold::base {
namespace {

class MappedFileTest : public ::testing::Test {
 protected:
  std::filesystem::path written(const std::string& contents) const {
    std::filesystem::path file = directory_.path() / "file";
    std::ofstream(file, std::ios::binary) << contents;
    return file;
  }

  TemporaryDirectory directory_;
};

TEST_F(MappedFileTest, HoldsTheBytesOfTheFile) {
  const std::string contents("a\0b\n", 4);
  const MappedFile mapped(written(contents));

  EXPECT_EQ(mapped.bytes(), contents);
  EXPECT_EQ(mapped.size(), 4U);
}

TEST_F(MappedFileTest, HoldsNothingOfAnEmptyFile) { EXPECT_EQ(MappedFile(written("")).bytes(), ""); }

TEST_F(MappedFileTest, GivesItsBytesToTheFileThatItIsMovedTo) {
  MappedFile first(written("first"));
  MappedFile second = std::move(first);
  EXPECT_EQ(second.bytes(), "first");
  EXPECT_EQ(first.size(), 0U);

  second = MappedFile(written("second"));
  EXPECT_EQ(second.bytes(), "second");
}

TEST_F(MappedFileTest, NamesTheFileAndTheSystemsWordsForOneThatIsNotThere) {
  const std::filesystem::path file = directory_.path() / "absent";
  try {
    const MappedFile mapped(file);
    FAIL() << "an absent file was mapped";
  } catch (const UnreadableFile& error) {
    EXPECT_EQ(error.what(), file.string() + ": cannot be opened: No such file or directory");
    EXPECT_EQ(error.problem(), "cannot be opened: No such file or directory");
    EXPECT_EQ(error.error(), ENOENT);
  }
}

TEST_F(MappedFileTest, RefusesWhatIsNoRegularFile) {
  try {
    const MappedFile mapped(directory_.path());
    FAIL() << "a directory was mapped";
  } catch (const UnreadableFile& error) {
    EXPECT_EQ(error.problem(), "not a regular file; name a file on disk");
    EXPECT_EQ(error.error(), EISDIR);
  }
}

}  // namespace
}  // namespace meshfold::base
