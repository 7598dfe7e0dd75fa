#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/directory/architecture.hpp"
#include "models/directory/load_model.hpp"
#include "models/files/tensor_file.hpp"
#include "models/networks/model.hpp"

namespace meshfold::models {

/// Where each tensor of a model directory lies, under the names of the architecture's sequence classifier.
class DirectoryTensors {
 public:
  /// Opens the weights (weight_files.hpp) and, for a head of ours, head.safetensors. Throws ModelFileError if one is
  /// missing or damaged, or if two tensors have one name once the prefix is added.
  DirectoryTensors(const std::filesystem::path& directory, const Architecture& architecture, bool with_head_file);

  /// Which of the directory's tensors a model with `head` takes. `on_disk` is the head that the directory's classifier
  /// was trained in. Throws ModelFileError that lists every missing and every extra tensor.
  LoadReport match(const ParameterStore& store, const HeadConfig& head, const HeadConfig& on_disk);
  /// Fills a parameter that match() did not list as freshly initialised. Throws ModelFileError for another shape or
  /// element type.
  void read(const Parameter& parameter) const;

 private:
  struct Source {
    std::shared_ptr<const TensorFile> file;
    std::string name;  ///< in the file
  };
  void add(const std::shared_ptr<const TensorFile>& file);

  std::filesystem::path directory_;
  const Architecture& architecture_;
  std::map<std::string, Source> sources_;
};

}  // namespace meshfold::models
