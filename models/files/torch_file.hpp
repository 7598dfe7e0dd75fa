#pragma once

#include <memory>

#include "models/files/tensor_file.hpp"

namespace meshfold::models {

/// A mapped pytorch_model.bin: a state dict as torch.save writes it since torch 1.6, a zip archive of storages and one
/// pickle that says which tensors lie in them. The pickle is read as data (torch_pickle.hpp); nothing in the file is
/// run. The CRC-32 of a storage is compared when its first tensor is read. Throws ModelFileError, with the command that
/// converts to safetensors where that would help.
class TorchFile final : public TensorFile {
 public:
  static TorchFile open(const std::filesystem::path& file);

  const std::filesystem::path& path() const override;
  std::vector<std::string> names() const override;
  const TensorDescription& description(const std::string& name) const override;

 private:
  class State;
  Elements elements(const std::string& name) const override;
  std::shared_ptr<State> state_;
};

}  // namespace meshfold::models
