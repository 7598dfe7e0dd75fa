#include "models/files/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "models/error.hpp"

namespace meshfold::models {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, int error) {
  throw ModelFileError(file.string(), std::string("cannot be read: ") + std::strerror(error));
}

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file, std::uint64_t least_bytes) {
  const Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat status {};
  if (descriptor.value < 0 || ::fstat(descriptor.value, &status) != 0) refuse(file, errno);
  if (!S_ISREG(status.st_mode)) refuse(file, EISDIR);
  size_ = static_cast<std::uint64_t>(status.st_size);
  if (size_ < least_bytes) {
    throw ModelFileError(
        file.string(), "the file of " + std::to_string(size_) + " bytes is too short to hold tensors; fetch it again");
  }
  void* address = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
  if (address == MAP_FAILED) refuse(file, errno);
  address_ = address;
}

MappedFile::~MappedFile() {
  if (address_ != nullptr) ::munmap(address_, size_);
}

}  // namespace meshfold::models
