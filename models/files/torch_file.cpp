#include "models/files/torch_file.hpp"

#include <mutex>
#include <set>

#include "base/checksum.hpp"
#include "models/error.hpp"
#include "models/files/quote_bytes.hpp"
#include "models/files/torch_pickle.hpp"
#include "models/files/zip_archive.hpp"

namespace meshfold::models {
namespace {

constexpr const char* kConversion =
    "; if you trust the file, convert it in its directory with: python -c \"import torch; from safetensors.torch "
    "import save_file; t = torch.load('pytorch_model.bin', map_location='cpu', weights_only=True); save_file({k: "
    "v.contiguous().clone() for k, v in t.items()}, 'model.safetensors', {'format': 'pt'})\"";
constexpr const char* kTable = "data.pkl";

}  // namespace

class TorchFile::State {
 public:
  explicit State(const std::filesystem::path& file)
      : path_(file), mapped_(map_tensor_file(file, 1)), archive_(open_archive()) {
    find_prefix();
    check_byte_order();
    try {
      tensors_ = read_torch_pickle(verified(prefix_ + kTable));
    } catch (const PickleRefusal& refusal) {
      fail(std::string("its pickle ") + refusal.what() + kConversion);
    }
    for (const auto& [name, tensor] : tensors_) check_storage(name, tensor);
  }

  const std::filesystem::path& path() const { return path_; }
  const std::map<std::string, PickledTensor>& tensors() const { return tensors_; }
  const PickledTensor& tensor(const std::string& name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) fail("there is no tensor '" + name + "'");
    return found->second;
  }
  /// The bytes of a storage, once they have the CRC-32 that the archive says.
  std::string_view storage(const std::string& key) { return verified(record_of(key)); }

 private:
  [[noreturn]] void fail(const std::string& problem_and_advice) const {
    throw ModelFileError(path_.string(), problem_and_advice);
  }
  std::string record_of(const std::string& key) const { return prefix_ + "data/" + key; }

  ZipArchive open_archive() const {
    constexpr std::string_view kLegacyStart("\x80\x02\x8a\x0a", 4);  // a pickled magic number
    if (mapped_.bytes().starts_with(kLegacyStart)) {
      fail(std::string("is in the format of torch before 1.6, which is not read") + kConversion);
    }
    if (!looks_like_zip(mapped_.bytes())) fail("is no file of torch.save; fetch it again");
    try {
      return ZipArchive(mapped_.bytes());
    } catch (const ZipError& error) {
      fail(error.what() + std::string("; fetch the file again"));
    }
  }

  /// All entries lie in one folder, whose name torch takes from the file's.
  void find_prefix() {
    const std::string ending = std::string("/") + kTable;
    for (const auto& [name, entry] : archive_.entries()) {
      if (!name.ends_with(ending) || name.find('/') != name.size() - ending.size()) continue;
      if (!prefix_.empty()) fail("holds two tables of tensors; save one state dict in a file");
      prefix_ = name.substr(0, name.size() - ending.size() + 1);
    }
    if (prefix_.empty()) fail("is a zip archive without data.pkl, so torch.save did not write it; fetch it again");
    if (archive_.find(prefix_ + "constants.pkl") != nullptr) {
      fail("is a TorchScript program, not a table of tensors; save model.state_dict() with torch.save");
    }
  }

  void check_byte_order() {
    const std::string record = prefix_ + "byteorder";  // older files are without it, and little-endian
    if (archive_.find(record) != nullptr && verified(record) != "little") {
      fail("was written on a big-endian machine; load and save it on another");
    }
  }

  void check_storage(const std::string& name, const PickledTensor& tensor) const {
    const ZipArchive::Entry* record = archive_.find(record_of(tensor.storage));
    if (!record) fail("lacks the storage of tensor " + quote_bytes(name) + "; fetch the file again");
    if (record->bytes.size() != static_cast<std::uint64_t>(tensor.storage_bytes)) {
      fail("the storage of tensor " + quote_bytes(name) + " has " + std::to_string(record->bytes.size()) +
           " bytes where " + std::to_string(tensor.storage_bytes) + " belong; fetch the file again");
    }
  }

  std::string_view verified(const std::string& record) {
    const ZipArchive::Entry& entry = *archive_.find(record);
    const std::scoped_lock lock(mutex_);
    if (!verified_.contains(record)) {
      if (base::crc32(entry.bytes) != entry.crc) {
        fail("the bytes of " + quote_bytes(record) +
             " do not have their CRC-32; the file is damaged, fetch it again (torch writes another sum after "
             "set_crc32_options(False): save it without)");
      }
      verified_.insert(record);
    }
    return entry.bytes;
  }

  std::filesystem::path path_;
  base::MappedFile mapped_;
  ZipArchive archive_;
  std::string prefix_;  ///< with its slash
  std::map<std::string, PickledTensor> tensors_;
  std::mutex mutex_;
  std::set<std::string> verified_;  ///< records whose CRC-32 was compared
};

TorchFile TorchFile::open(const std::filesystem::path& file) {
  TorchFile opened;
  opened.state_ = std::make_shared<State>(file);
  return opened;
}

const std::filesystem::path& TorchFile::path() const { return state_->path(); }

std::vector<std::string> TorchFile::names() const {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : state_->tensors()) names.push_back(name);
  return names;
}

const TensorDescription& TorchFile::description(const std::string& name) const {
  return state_->tensor(name).description;
}

TensorFile::Elements TorchFile::elements(const std::string& name) const {
  const PickledTensor& tensor = state_->tensor(name);
  const auto width = static_cast<std::int64_t>(c10::elementSize(tensor.description.type));
  return {state_->storage(tensor.storage).data() + tensor.offset * width, tensor.strides};
}

}  // namespace meshfold::models
