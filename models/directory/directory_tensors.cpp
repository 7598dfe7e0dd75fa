#include "models/directory/directory_tensors.hpp"

#include <ATen/Functions.h>

#include <algorithm>

#include "base/text.hpp"
#include "models/directory/directory_head.hpp"
#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/files/safetensors.hpp"
#include "models/files/weight_files.hpp"

namespace meshfold::models {
namespace {

constexpr std::size_t kShownNames = 8;

bool is_classifier(const std::string& name) { return name == "classifier.weight" || name == "classifier.bias"; }
bool is_own_pooler(const std::string& name) { return name.starts_with(kPoolingPrefix); }

/// Whether two heads read the same texts and features, so that each column of a classifier means the same.
bool same_inputs(const HeadConfig& a, const HeadConfig& b) {
  return a.views == b.views && std::ranges::equal(a.features, b.features, {}, &Feature::name, &Feature::name);
}

/// What to do about a tensor of another shape than the model's.
const char* advice_on(const ParameterSpec& spec, const std::vector<std::int64_t>& stored) {
  if (!is_classifier(spec.name)) return "; config.json and the weights must be of one model";
  if (stored.size() == 2 && stored[1] != spec.global_shape[1]) {
    return "; it reads other texts or features than meshfold_head in config.json says, export the model again";
  }
  return "; the directory's head has other outputs than asked for, start from the backbone without it";
}

}  // namespace

DirectoryTensors::DirectoryTensors(const std::filesystem::path& directory, const Architecture& architecture,
                                   bool with_head_file)
    : directory_(directory), architecture_(architecture) {
  for (const auto& file : open_weight_files(directory)) add(file);
  if (with_head_file) add(std::make_shared<SafetensorsFile>(SafetensorsFile::open(directory / kHeadFile)));
}

void DirectoryTensors::add(const std::shared_ptr<const TensorFile>& file) {
  for (const std::string& name : file->names()) {
    const std::string canonical = architecture_.canonical_name(name);
    const auto [place, added] = sources_.emplace(canonical, Source{file, name});
    if (!added) {
      throw ModelFileError(file->path().string(), "tensors '" + place->second.name + "' and '" + name + "' are both " +
                                                      canonical + "; remove one of them");
    }
  }
}

LoadReport DirectoryTensors::match(const ParameterStore& store, const HeadConfig& head, const HeadConfig& on_disk) {
  const auto is_pooler = [&](const std::string& name) { return is_own_pooler(name) || architecture_.is_pooler(name); };
  const bool other_pooling = !same_pooling(head, on_disk);
  const bool other_vector = other_pooling || !same_inputs(head, on_disk);
  LoadReport report;
  std::vector<std::string> missing, extra;
  for (auto source = sources_.begin(); source != sources_.end();) {
    const std::string& name = source->first;
    // A classifier reads the vector that it was trained on; on another it would be noise.
    const bool of_our_head = is_classifier(name) || is_own_pooler(name);
    const bool other_head = (other_vector && is_classifier(name)) || (other_pooling && is_pooler(name));
    if (store.find(name) && !(other_head && of_our_head)) {
      ++source;
      continue;
    }
    (architecture_.is_ignorable(name) || other_head || (is_pooler(name) && head.pooling != Pooling::kCls)
         ? report.left_out
         : extra)
        .push_back(source->second.name);
    source = sources_.erase(source);
  }
  for (const Parameter& parameter : store) {
    const std::string& name = parameter.spec.name;
    if (sources_.contains(name)) continue;
    (is_pooler(name) || is_classifier(name) ? report.initialized : missing).push_back(name);
  }
  if (!missing.empty() || !extra.empty()) {
    std::string problem;
    if (!missing.empty()) problem += "missing tensors: " + base::shortened(missing, kShownNames) + "; ";
    if (!extra.empty())
      problem += "tensors that this architecture does not have: " + base::shortened(extra, kShownNames) + "; ";
    throw ModelFileError(directory_.string(), problem + "config.json and the weights must be of one model");
  }
  return report;
}

void DirectoryTensors::read(const Parameter& parameter) const {
  const Source& source = sources_.at(parameter.spec.name);
  const TensorDescription& stored = source.file->description(source.name);
  if (stored.shape != parameter.spec.global_shape) {
    throw ModelFileError(source.file->path().string(), "tensor '" + source.name + "' has shape " +
                                                           shape_text(stored.shape) + " where the model has " +
                                                           shape_text(parameter.spec.global_shape) +
                                                           advice_on(parameter.spec, stored.shape));
  }
  at::Tensor value = parameter.view.value;
  if (value.is_cpu()) return source.file->read_box(source.name, parameter.spec.box, value);
  const at::Tensor on_host = at::empty(value.sizes(), value.options().device(at::kCPU));
  source.file->read_box(source.name, parameter.spec.box, on_host);
  value.copy_(on_host);
}

}  // namespace meshfold::models
