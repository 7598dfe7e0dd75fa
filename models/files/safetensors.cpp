#include "models/files/safetensors.hpp"

#include "models/error.hpp"
#include "models/files/safetensors_header.hpp"

namespace meshfold::models {
namespace {

constexpr std::uint64_t kLengthBytes = 8;
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;  // the limit of Hugging Face's own readers

std::uint64_t little_endian(const char* bytes) {
  std::uint64_t value = 0;
  for (int i = 7; i >= 0; --i) value = (value << 8) | static_cast<unsigned char>(bytes[i]);
  return value;
}

}  // namespace

struct SafetensorsFile::State {
  explicit State(const std::filesystem::path& file) : path(file), mapped(map_tensor_file(file, kLengthBytes)) {
    const char* bytes = mapped.bytes().data();
    const std::uint64_t header_bytes = little_endian(bytes);
    if (header_bytes > kMaxHeaderBytes || header_bytes > mapped.size() - kLengthBytes) {
      throw ModelFileError(file.string(), "the header of " + std::to_string(header_bytes) +
                                              " bytes does not fit the file of " + std::to_string(mapped.size()) +
                                              " bytes; it is no safetensors file or cut short, fetch it again");
    }
    data = bytes + kLengthBytes + header_bytes;
    header = parse_safetensors_header(file, {bytes + kLengthBytes, header_bytes},
                                      mapped.size() - kLengthBytes - header_bytes);
  }

  const Entry& entry(const std::string& name) const {
    const auto found = header.entries.find(name);
    if (found == header.entries.end()) throw ModelFileError(path.string(), "there is no tensor '" + name + "'");
    return found->second;
  }

  std::filesystem::path path;
  base::MappedFile mapped;
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

std::vector<std::string> SafetensorsFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries()) names.push_back(name);
  return names;
}

const SafetensorsFile::Entry& SafetensorsFile::description(const std::string& name) const {
  return state_->entry(name);
}

TensorFile::Elements SafetensorsFile::elements(const std::string& name) const {
  const Entry& entry = state_->entry(name);
  return {state_->data + entry.begin, row_major_strides(entry.shape)};
}

}  // namespace meshfold::models
