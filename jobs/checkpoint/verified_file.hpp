#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace meshfold::jobs::checkpoint {

/// A file is hashed in blocks of this size, so that a reader can check just what it reads.
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{8} << 20;

/// The whole file. Throws CheckpointError.
std::string read_text(const std::filesystem::path& file);

/// Size and XXH3-128 (hex) of each block of a file.
struct FileDigest {
  std::uint64_t size = 0;
  std::vector<std::string> block_hashes;
  bool operator==(const FileDigest&) const = default;
};
FileDigest digest_of(const std::filesystem::path& file);

/// Reads ranges of a file whose digest is known; every byte handed out comes from a block whose checksum was compared.
/// Keeps one block.
class VerifiedFile {
 public:
  /// Throws CheckpointError if the file cannot be opened or has another size.
  VerifiedFile(std::filesystem::path file, FileDigest digest);
  ~VerifiedFile();
  VerifiedFile(const VerifiedFile&) = delete;
  VerifiedFile& operator=(const VerifiedFile&) = delete;

  /// Throws CheckpointError, naming the block, if a checksum differs.
  void read(std::uint64_t begin, std::uint64_t end, char* out);
  /// Compares every block.
  void verify();

 private:
  void load_block(std::uint64_t index);

  std::filesystem::path file_;
  FileDigest digest_;
  int descriptor_ = -1;
  std::vector<char> block_;
  std::uint64_t block_index_ = ~std::uint64_t{0};
};

}  // namespace meshfold::jobs::checkpoint
