#include "models/durable_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace meshfold::models {
namespace {

[[noreturn]] void fail(const char* call, const std::filesystem::path& file) {
  throw std::system_error(errno, std::generic_category(), std::string(call) + " " + file.string());
}

}  // namespace

DurableFile::DurableFile(std::filesystem::path file)
    : file_(std::move(file)), descriptor_(::open(file_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail("open", file_);
}

DurableFile::~DurableFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void DurableFile::write(const void* bytes, std::size_t count) {
  constexpr std::size_t kMaxCall = std::size_t{1} << 30;  // one write() takes less than 2 GiB on Linux
  const char* next = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t written = ::write(descriptor_, next, std::min(count, kMaxCall));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail("write", file_);
    next += written;
    count -= static_cast<std::size_t>(written);
  }
}

void DurableFile::sync() {
  if (::fsync(descriptor_) != 0) fail("fsync", file_);
  const int descriptor = std::exchange(descriptor_, -1);
  if (::close(descriptor) != 0) fail("close", file_);  // network file systems report late write errors here
}

void sync_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail("open", directory);
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  errno = error;
  if (result != 0) fail("fsync", directory);
}

}  // namespace meshfold::models
