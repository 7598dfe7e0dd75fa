#include <unistd.h>

#include <fstream>
#include <iterator>

#include "base/durable_file.hpp"
#include "models/directory/architecture.hpp"
#include "models/directory/directory_head.hpp"
#include "models/directory/export_model.hpp"
#include "models/error.hpp"
#include "models/files/config_json.hpp"
#include "models/files/safetensors.hpp"
#include "models/networks/model.hpp"

namespace meshfold::models {
namespace {

namespace fs = std::filesystem;
using NamedTensors = std::vector<std::pair<std::string, at::Tensor>>;

const std::map<std::string, std::string> kMetadata{{"format", "pt"}};  // transformers refuses files without it

/// A directory that takes its name only once it is complete; removed if that never happens.
class DirectoryInProgress {
 public:
  explicit DirectoryInProgress(const fs::path& target) : target_(fs::absolute(target).lexically_normal()) {
    if (!target_.has_filename()) target_ = target_.parent_path();  // a trailing slash
    if (fs::exists(target_) && !fs::is_empty(target_)) {
      throw ModelFileError(target_.string(), "exists already; remove it or export to another directory");
    }
    fs::create_directories(target_.parent_path());
    path_ = target_.parent_path() / (".tmp-" + target_.filename().string() + "-" + std::to_string(::getpid()));
    fs::remove_all(path_);
    fs::create_directory(path_);
  }
  ~DirectoryInProgress() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  DirectoryInProgress(const DirectoryInProgress&) = delete;
  DirectoryInProgress& operator=(const DirectoryInProgress&) = delete;

  const fs::path& path() const { return path_; }

  void commit() {
    base::sync_directory(path_);
    base::rename_durably(path_, target_);
    path_.clear();
  }

 private:
  fs::path target_, path_;
};

void write_config(const Model& model, const Architecture& architecture, ConfigJson config, const fs::path& directory) {
  auto& json = config.json();
  write_head(model.head(), architecture, config);
  // The weights are written in fp32; readers that follow the config's type must not narrow them.
  for (const char* key : {"dtype", "torch_dtype"}) {
    if (json.contains(key)) json[key] = "float32";
  }
  const DropoutOverrides dropout = model.dropout();
  if (dropout.hidden) json["hidden_dropout_prob"] = *dropout.hidden;
  if (dropout.attention) json["attention_probs_dropout_prob"] = *dropout.attention;
  const double before_classifier =
      model.head().dropout.value_or(config.number(architecture.classifier_dropout_key.c_str())
                                        .value_or(config.number("hidden_dropout_prob").value_or(0.1)));
  if (has_own_file(model.head())) {
    json["meshfold_head"]["dropout"] = before_classifier;
  } else {
    json[architecture.classifier_dropout_key] = before_classifier;
  }
  base::write_new_file(directory / "config.json", json.dump(2) + "\n");
}

void write_weights(const Model& model, const std::string& prefix, const fs::path& directory) {
  const bool own_file = has_own_file(model.head());
  NamedTensors backbone, head;
  for (const Parameter& parameter : model.parameters()) {
    const std::string& name = parameter.spec.name;
    const at::Tensor value = parameter.view.value.cpu();
    if (!own_file) {
      backbone.emplace_back(name, value);
    } else if (name.starts_with(prefix)) {
      backbone.emplace_back(name.substr(prefix.size()), value);
    } else {
      head.emplace_back(name, value);
    }
  }
  write_safetensors(directory / "model.safetensors", backbone, kMetadata);
  if (own_file) write_safetensors(directory / kHeadFile, head, kMetadata);
}

void copy_tokenizer(const fs::path& source, const fs::path& directory) {
  for (const char* name : {"vocab.txt", "spm.model", "tokenizer.model", "tokenizer.json", "tokenizer_config.json",
                           "special_tokens_map.json", "added_tokens.json"}) {
    if (!fs::exists(source / name)) continue;
    std::ifstream input(source / name, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(input), {}};
    if (!input) throw ModelFileError((source / name).string(), "cannot be read");
    base::write_new_file(directory / name, text);
  }
}

}  // namespace

void export_model(const Model& model, const fs::path& source, const fs::path& directory) {
  DirectoryInProgress progress(directory);
  const ConfigJson config(source);
  const Architecture& architecture = architecture_of(config);
  write_config(model, architecture, config, progress.path());
  write_weights(model, architecture.prefix, progress.path());
  copy_tokenizer(source, progress.path());
  progress.commit();
}

}  // namespace meshfold::models
