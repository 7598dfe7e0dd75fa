#include "base/durable_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace meshfold::base {
namespace {

[[noreturn]] void fail(const char* call, const std::filesystem::path& file) {
  throw StorageError(file.string() + ": " + call + " failed: " + std::strerror(errno) +
                     "; check free space, quota and permissions");
}

/// fsync on a descriptor opened just for it.
void sync_opened(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) fail("open", path);
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  errno = error;
  if (result != 0) fail("fsync", path);
}

}  // namespace

DurableFile::DurableFile(std::filesystem::path file, Existing existing)
    : file_(std::move(file)),
      descriptor_(::open(file_.c_str(),
                         O_WRONLY | O_CREAT | O_CLOEXEC | (existing == Existing::kRefuse ? O_EXCL : O_TRUNC), 0644)) {
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
  // close() is where network file systems report late write errors.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail("close", file_);
}

void write_new_file(const std::filesystem::path& file, std::string_view contents) {
  DurableFile durable(file, Existing::kRefuse);
  durable.write(contents.data(), contents.size());
  durable.sync();
}

void replace_file(const std::filesystem::path& file, std::string_view contents) {
  std::filesystem::path temporary = file;
  temporary += ".tmp-" + std::to_string(::getpid());
  DurableFile durable(temporary, Existing::kEmpty);
  durable.write(contents.data(), contents.size());
  durable.sync();
  rename_durably(temporary, file);
}

void sync_file(const std::filesystem::path& file) { sync_opened(file, O_RDONLY); }

void sync_directory(const std::filesystem::path& directory) { sync_opened(directory, O_RDONLY | O_DIRECTORY); }

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail("rename", to);
  sync_directory(to.has_parent_path() ? to.parent_path() : std::filesystem::path("."));
}

}  // namespace meshfold::base
