#include "models/safetensors.hpp"

#include <ATen/Functions.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "models/error.hpp"
#include "models/safetensors_header.hpp"

namespace meshfold::models {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of Hugging Face's own readers

/// A whole file, mapped for reading.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& file) {
    const int descriptor = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(file);
    struct stat status {};
    if (::fstat(descriptor, &status) == 0) {
      if (!S_ISREG(status.st_mode)) errno = EISDIR;
      size_ = S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0;
      if (S_ISREG(status.st_mode) && size_ < kLengthBytes) errno = 0;
    }
    if (size_ >= kLengthBytes) address_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int error = errno;
    ::close(descriptor);
    errno = error;
    if (address_ == MAP_FAILED) fail(file);
  }
  ~MappedFile() { ::munmap(address_, size_); }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const char* bytes() const { return static_cast<const char*>(address_); }
  std::uint64_t size() const { return size_; }

 private:
  [[noreturn]] static void fail(const std::filesystem::path& file) {
    if (errno == 0) throw ModelFileError(file.string(), "the file is too short for a safetensors file; fetch it again");
    throw ModelFileError(file.string(), std::string("cannot be read: ") + std::strerror(errno));
  }

  void* address_ = MAP_FAILED;
  std::uint64_t size_ = 0;
};

std::uint64_t little_endian(const char* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

/// Copies `count` elements that need not be aligned, widening 16-bit floats.
template <typename Source>
void widen(const char* source, std::int64_t count, float* target) {
  for (std::int64_t i = 0; i < count; ++i) {
    Source value;
    std::memcpy(&value, source + static_cast<std::size_t>(i) * sizeof(Source), sizeof(Source));
    target[i] = static_cast<float>(value);
  }
}

void copy_run(at::ScalarType type, const char* source, std::int64_t count, char* target, bool same_type) {
  if (same_type) {
    std::memcpy(target, source, static_cast<std::size_t>(count) * c10::elementSize(type));
  } else if (type == at::kHalf) {
    widen<at::Half>(source, count, reinterpret_cast<float*>(target));
  } else {
    widen<at::BFloat16>(source, count, reinterpret_cast<float*>(target));
  }
}

bool box_inside(const Box& box, const std::vector<std::int64_t>& shape) {
  if (box.start.size() != shape.size() || box.extent.size() != shape.size()) return false;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (box.start[d] < 0 || box.extent[d] < 0 || box.extent[d] > shape[d] - box.start[d]) return false;
  }
  return true;
}

/// Calls `run(first element in the tensor, count)` for each contiguous run of the box, in row-major order.
template <typename Run>
void for_each_run(const Box& box, const std::vector<std::int64_t>& shape, Run run) {
  std::size_t outer_dims = shape.size();  // dims before the first that a run covers
  std::int64_t count = 1;
  bool full = true;
  while (outer_dims > 0 && full) {
    --outer_dims;
    count *= box.extent[outer_dims];
    full = box.extent[outer_dims] == shape[outer_dims];
  }
  for (std::size_t d = 0; d < outer_dims; ++d) {
    if (box.extent[d] == 0) return;
  }
  if (count == 0) return;
  std::vector<std::int64_t> index(outer_dims, 0);
  while (true) {
    std::int64_t first = 0;
    for (std::size_t d = 0; d < shape.size(); ++d)
      first = first * shape[d] + box.start[d] + (d < outer_dims ? index[d] : 0);
    run(first, count);
    std::size_t d = outer_dims;
    while (d > 0 && ++index[d - 1] == box.extent[d - 1]) index[--d] = 0;
    if (d == 0) return;
  }
}

}  // namespace

struct SafetensorsFile::State {
  explicit State(const std::filesystem::path& file) : path(file), mapped(file) {
    const std::uint64_t header_bytes = little_endian(mapped.bytes());
    if (header_bytes > kMaxHeaderBytes || header_bytes > mapped.size() - kLengthBytes) {
      throw ModelFileError(file.string(), "the header of " + std::to_string(header_bytes) +
                                              " bytes does not fit the file of " + std::to_string(mapped.size()) +
                                              " bytes; it is no safetensors file or cut short, fetch it again");
    }
    data = mapped.bytes() + kLengthBytes + header_bytes;
    header = parse_safetensors_header(file, {mapped.bytes() + kLengthBytes, header_bytes},
                                      mapped.size() - kLengthBytes - header_bytes);
  }

  const Entry& entry(const std::string& name) const {
    const auto found = header.entries.find(name);
    if (found == header.entries.end()) throw ModelFileError(path.string(), "there is no tensor '" + name + "'");
    return found->second;
  }

  std::filesystem::path path;
  MappedFile mapped;
  const char* data = nullptr;
  SafetensorsHeader header;
};

SafetensorsFile SafetensorsFile::open(const std::filesystem::path& file) {
  SafetensorsFile opened;
  opened.state_ = std::make_shared<State>(file);
  return opened;
}

const std::filesystem::path& SafetensorsFile::path() const { return state_->path; }
const std::map<std::string, SafetensorsFile::Entry>& SafetensorsFile::entries() const { return state_->header.entries; }
const std::map<std::string, std::string>& SafetensorsFile::metadata() const { return state_->header.metadata; }

at::Tensor SafetensorsFile::tensor(const std::string& name) const {
  const Entry& entry = state_->entry(name);
  at::Tensor copy = at::empty(entry.shape, at::TensorOptions().dtype(entry.type));
  if (entry.end > entry.begin)
    std::memcpy(copy.mutable_data_ptr(), state_->data + entry.begin, entry.end - entry.begin);
  return copy;
}

void SafetensorsFile::read_box(const std::string& name, const Box& box, at::Tensor out) const {
  const Entry& entry = state_->entry(name);
  if (!box_inside(box, entry.shape)) {
    throw ModelFileError(state_->path.string(),
                         "tensor '" + name + "' does not hold the wanted piece; its shape differs from the model's");
  }
  if (!out.is_cpu() || !out.is_contiguous() || out.sizes() != at::IntArrayRef(box.extent)) {
    throw std::invalid_argument("read_box fills dense CPU tensors of the box's extent");
  }
  const bool same_type = out.scalar_type() == entry.type;
  const bool widens = out.scalar_type() == at::kFloat && (entry.type == at::kHalf || entry.type == at::kBFloat16);
  if (!same_type && !widens) {
    throw ModelFileError(state_->path.string(), "tensor '" + name + "' has element type " +
                                                    std::string(c10::toString(entry.type)) + " where " +
                                                    c10::toString(out.scalar_type()) + " is needed; convert it");
  }
  const auto source_width = static_cast<std::int64_t>(c10::elementSize(entry.type));
  const auto target_width = static_cast<std::int64_t>(out.element_size());
  char* target = out.numel() > 0 ? static_cast<char*>(out.mutable_data_ptr()) : nullptr;
  for_each_run(box, entry.shape, [&](std::int64_t first, std::int64_t count) {
    copy_run(entry.type, state_->data + entry.begin + first * source_width, count, target, same_type);
    target += count * target_width;
  });
}

}  // namespace meshfold::models
