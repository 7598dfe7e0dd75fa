#include "data/durable_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "data/error.hpp"

namespace meshfold::data {
namespace {

[[noreturn]] void fail(const std::filesystem::path& file, const char* call) {
  throw WriteError(file.string() + ": " + call + " failed: " + std::strerror(errno) +
                   "; check free space, quota and permissions");
}

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& file, int flags) : value_(::open(file.c_str(), flags | O_CLOEXEC, 0644)) {
    if (value_ < 0) fail(file, "open");
  }
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  /// close() is where network file systems report late write errors; the destructor could not.
  int close() { return ::close(std::exchange(value_, -1)); }

 private:
  int value_;
};

}  // namespace

void write_file_durably(const std::filesystem::path& file, std::string_view contents) {
  std::filesystem::path temporary = file;
  temporary += ".tmp-" + std::to_string(::getpid());
  Descriptor descriptor(temporary, O_WRONLY | O_CREAT | O_TRUNC);
  while (!contents.empty()) {
    const ssize_t written = ::write(descriptor.get(), contents.data(), contents.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) fail(temporary, "write");
    contents.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(descriptor.get()) != 0) fail(temporary, "fsync");
  if (descriptor.close() != 0) fail(temporary, "close");
  rename_durably(temporary, file);
}

void sync_file(const std::filesystem::path& file) {
  const Descriptor descriptor(file, O_RDONLY);
  if (::fsync(descriptor.get()) != 0) fail(file, "fsync");
}

void rename_durably(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(to, "rename");
  const std::filesystem::path directory = to.has_parent_path() ? to.parent_path() : std::filesystem::path(".");
  const Descriptor parent(directory, O_RDONLY | O_DIRECTORY);
  if (::fsync(parent.get()) != 0) fail(directory, "fsync");
}

}  // namespace meshfold::data
