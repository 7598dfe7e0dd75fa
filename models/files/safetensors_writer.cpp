#include <ATen/core/Tensor.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "base/durable_file.hpp"
#include "models/files/safetensors.hpp"
#include "models/files/safetensors_dtype.hpp"

namespace meshfold::models {
namespace {

constexpr std::size_t kDataAlignment = 64;
using Named = std::pair<std::string, at::Tensor>;

std::string_view type_name(const Named& tensor) {
  for (const auto& [name, type] : kSafetensorsTypes) {
    if (type == tensor.second.scalar_type()) return name;
  }
  throw std::invalid_argument("tensor " + tensor.first + " has an element type that safetensors files do not know");
}

/// Wider elements first, so that every tensor begins at a multiple of its element width, as readers that view the bytes
/// in place need.
std::vector<const Named*> file_order(const std::vector<Named>& tensors) {
  std::vector<const Named*> order;
  for (const Named& tensor : tensors) order.push_back(&tensor);
  std::stable_sort(order.begin(), order.end(),
                   [](const Named* a, const Named* b) { return a->second.element_size() > b->second.element_size(); });
  return order;
}

std::string make_header(const std::vector<const Named*>& order, const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t begin = 0;
  for (const Named* tensor : order) {
    const auto& [name, value] = *tensor;
    if (!value.is_cpu() || !value.is_contiguous())
      throw std::invalid_argument("tensor " + name + " is not dense on the CPU");
    if (name == "__metadata__" || header.contains(name)) {
      throw std::invalid_argument("tensor name " + name + " is reserved or used twice");
    }
    const std::uint64_t end = begin + value.nbytes();
    header[name] = {{"dtype", type_name(*tensor)}, {"shape", value.sizes().vec()}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text = header.dump();  // throws on names that are not UTF-8
  text.append((kDataAlignment - (sizeof(std::uint64_t) + text.size()) % kDataAlignment) % kDataAlignment, ' ');
  return text;
}

}  // namespace

void write_safetensors(const std::filesystem::path& file, const std::vector<Named>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  const std::vector<const Named*> order = file_order(tensors);
  const std::string header = make_header(order, metadata);
  std::string length(sizeof(std::uint64_t), '\0');
  for (std::size_t i = 0; i < length.size(); ++i)
    length[i] = static_cast<char>((std::uint64_t{header.size()} >> (8 * i)) & 0xFF);
  base::DurableFile output(file, base::Existing::kEmpty);
  output.write(length.data(), length.size());
  output.write(header.data(), header.size());
  for (const Named* tensor : order) {
    if (tensor->second.numel() > 0) output.write(tensor->second.const_data_ptr(), tensor->second.nbytes());
  }
  output.sync();
}

}  // namespace meshfold::models
