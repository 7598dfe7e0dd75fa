#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "models/files/tensor_file.hpp"

namespace meshfold::models {

/// A mapped .safetensors file (format of Hugging Face safetensors: u64 little-endian header length, JSON header, data).
/// Everything is validated before any tensor is handed out: header size and JSON, known dtypes, offsets in range,
/// ordered, without gaps or overlaps, matching shape times width, file size exact, no repeated key. Throws
/// ModelFileError.
class SafetensorsFile final : public TensorFile {
 public:
  static SafetensorsFile open(const std::filesystem::path& file);

  struct Entry : TensorDescription {
    std::uint64_t begin, end;  ///< bytes after the header
  };
  const std::filesystem::path& path() const override;
  std::vector<std::string> names() const override;
  const Entry& description(const std::string& name) const override;
  const std::map<std::string, Entry>& entries() const;
  const std::map<std::string, std::string>& metadata() const;

 private:
  struct State;
  Elements elements(const std::string& name) const override;
  std::shared_ptr<const State> state_;
};

/// Writes tensors (dense CPU; wider elements first, in the given order among equals) and fsyncs the file; metadata as
/// the format's __metadata__ strings. Bytes readable by safetensors' own loader; data start aligned to 64 bytes. Throws
/// std::system_error when storage fails.
void write_safetensors(const std::filesystem::path& file,
                       const std::vector<std::pair<std::string, at::Tensor>>& tensors,
                       const std::map<std::string, std::string>& metadata);

}  // namespace meshfold::models
