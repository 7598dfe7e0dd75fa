#include "jobs/checkpoint/verified_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "base/checksum.hpp"
#include "jobs/error.hpp"

namespace meshfold::jobs::checkpoint {
namespace {

/// A POSIX file descriptor, closed with its owner.
class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags, mode_t mode = 0)
      : value_(::open(file.c_str(), flags, mode)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int value() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

/// Reads exactly `size` bytes; false at the end of the file or on an error (errno 0: end of file).
bool read_fully(int descriptor, char* out, std::uint64_t size, std::uint64_t offset) {
  while (size > 0) {
    const ssize_t got = ::pread(descriptor, out, size, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got == 0) errno = 0;
    if (got <= 0) return false;
    out += got, offset += static_cast<std::uint64_t>(got), size -= static_cast<std::uint64_t>(got);
  }
  return true;
}

std::string last_error() { return errno == 0 ? "the file ended early" : std::strerror(errno); }

}  // namespace

std::string read_text(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw CheckpointError(file.string() + ": cannot be opened: " + std::strerror(errno));
  return {std::istreambuf_iterator<char>(stream), {}};
}

FileDigest digest_of(const std::filesystem::path& file) {
  const Descriptor descriptor(file, O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  if (descriptor.value() < 0 || ::fstat(descriptor.value(), &status) != 0) {
    throw CheckpointError(file.string() + ": cannot be read: " + std::strerror(errno));
  }
  FileDigest digest;
  digest.size = static_cast<std::uint64_t>(status.st_size);
  std::vector<char> block(std::min(kBlockBytes, digest.size));
  for (std::uint64_t begin = 0; begin < digest.size; begin += kBlockBytes) {
    const std::uint64_t size = std::min(kBlockBytes, digest.size - begin);
    if (!read_fully(descriptor.value(), block.data(), size, begin)) {
      throw CheckpointError(file.string() + ": cannot be read: " + last_error());
    }
    digest.block_hashes.push_back(base::xxh3_128_hex({block.data(), size}));
  }
  return digest;
}

VerifiedFile::VerifiedFile(std::filesystem::path file, FileDigest digest)
    : file_(std::move(file)), digest_(std::move(digest)) {
  Descriptor descriptor(file_, O_RDONLY | O_CLOEXEC);
  struct stat status = {};
  if (descriptor.value() < 0 || ::fstat(descriptor.value(), &status) != 0) {
    throw CheckpointError(file_.string() + ": cannot be read: " + std::strerror(errno));
  }
  if (static_cast<std::uint64_t>(status.st_size) != digest_.size) {
    throw CheckpointError(file_.string() + ": has " + std::to_string(status.st_size) + " bytes, the manifest says " +
                          std::to_string(digest_.size));
  }
  if (digest_.block_hashes.size() != (digest_.size + kBlockBytes - 1) / kBlockBytes) {
    throw CheckpointError(file_.string() + ": the manifest lists another number of blocks than the file has");
  }
  descriptor_ = descriptor.release();
}

VerifiedFile::~VerifiedFile() { ::close(descriptor_); }

void VerifiedFile::load_block(std::uint64_t index) {
  const std::uint64_t begin = index * kBlockBytes;
  block_index_ = ~std::uint64_t{0};
  block_.resize(std::min(kBlockBytes, digest_.size - begin));
  if (!read_fully(descriptor_, block_.data(), block_.size(), begin)) {
    throw CheckpointError(file_.string() + ": cannot be read: " + last_error());
  }
  if (base::xxh3_128_hex({block_.data(), block_.size()}) != digest_.block_hashes.at(index)) {
    throw CheckpointError(file_.string() + ": block " + std::to_string(index) + " (bytes " + std::to_string(begin) +
                          " to " + std::to_string(begin + block_.size()) +
                          ") has another checksum than the manifest says");
  }
  block_index_ = index;
}

void VerifiedFile::verify() {
  for (std::uint64_t index = 0; index * kBlockBytes < digest_.size; ++index) load_block(index);
}

void VerifiedFile::read(std::uint64_t begin, std::uint64_t end, char* out) {
  if (begin > end || end > digest_.size) throw CheckpointError(file_.string() + ": a tensor lies outside of the file");
  while (begin < end) {
    const std::uint64_t index = begin / kBlockBytes;
    if (index != block_index_) load_block(index);
    const std::uint64_t stop = std::min(end, (index + 1) * kBlockBytes);
    std::memcpy(out, block_.data() + (begin - index * kBlockBytes), stop - begin);
    out += stop - begin;
    begin = stop;
  }
}

}  // namespace meshfold::jobs::checkpoint
