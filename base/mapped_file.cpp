#include "base/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace meshfold::base {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, const char* attempt) {
  const int error = errno;
  throw UnreadableFile(file, std::string(attempt) + ": " + std::strerror(error), error);
}

struct Descriptor {
  int value;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

}  // namespace

MappedFile::MappedFile(const std::filesystem::path& file) {
  const Descriptor descriptor{::open(file.c_str(), O_RDONLY | O_CLOEXEC)};
  if (descriptor.value < 0) refuse(file, "cannot be opened");
  struct stat status {};
  if (::fstat(descriptor.value, &status) != 0) refuse(file, "cannot be examined");
  if (!S_ISREG(status.st_mode)) throw UnreadableFile(file, "not a regular file; name a file on disk", EISDIR);
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
  if (data == MAP_FAILED) refuse(file, "cannot be mapped into memory");
  data_ = data;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace meshfold::base
