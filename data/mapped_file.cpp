#include "data/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "data/error.hpp"

namespace meshfold::data {
namespace {

[[noreturn]] void refuse(const std::filesystem::path& file, const char* attempt) {
  throw InputError({file.string(), {}, {}, ""}, std::string(attempt) + ": " + std::strerror(errno));
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
  if (!S_ISREG(status.st_mode))
    throw InputError({file.string(), {}, {}, ""}, "not a regular file; name a file on disk");
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* data = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor.value, 0);
  if (data == MAP_FAILED) refuse(file, "cannot be mapped into memory");
  data_ = data;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace meshfold::data
