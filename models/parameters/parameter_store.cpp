#include "models/parameters/parameter_store.hpp"

#include <ATen/Functions.h>
#include <c10/core/ScalarType.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "base/checksum.hpp"
#include "base/text.hpp"

namespace meshfold::models {
namespace {

std::int64_t product(std::span<const std::int64_t> extents) {
  return std::accumulate(extents.begin(), extents.end(), std::int64_t{1}, std::multiplies<>());
}

/// Gives an empty box the whole shape and refuses one that leaves it.
void complete_box(ParameterSpec& spec) {
  const auto dims = spec.global_shape.size();
  if (spec.box.start.empty() && spec.box.extent.empty()) {
    spec.box = {std::vector<std::int64_t>(dims, 0), spec.global_shape};
  }
  bool inside = spec.box.start.size() == dims && spec.box.extent.size() == dims;
  for (std::size_t d = 0; inside && d < dims; ++d) {
    inside = spec.box.start[d] >= 0 && spec.box.extent[d] >= 0 &&
             spec.box.start[d] + spec.box.extent[d] <= spec.global_shape[d];
  }
  if (!inside) throw std::invalid_argument("the box of parameter " + spec.name + " leaves its global shape");
}

}  // namespace

std::string shape_text(const std::vector<std::int64_t>& shape) { return "[" + base::joined(shape) + "]"; }

std::size_t ParameterStore::add(ParameterSpec spec) {
  if (flat_.defined()) throw std::logic_error("parameter " + spec.name + " was added to an allocated store");
  complete_box(spec);
  if (!index_.emplace(spec.name, parameters_.size()).second) {
    throw std::invalid_argument("parameter " + spec.name + " was added twice");
  }
  Parameter parameter;
  parameter.num_elements = product(spec.box.extent);
  parameter.spec = std::move(spec);
  parameters_.push_back(std::move(parameter));
  return parameters_.size() - 1;
}

void ParameterStore::set_box(std::size_t index, Box box) {
  Parameter& parameter = parameters_[index];
  if (flat_.defined()) throw std::logic_error("the box of " + parameter.spec.name + " was set in an allocated store");
  parameter.spec.box = std::move(box);
  complete_box(parameter.spec);
  parameter.num_elements = product(parameter.spec.box.extent);
}

void ParameterStore::allocate(at::Device device, at::ScalarType compute_type) {
  if (flat_.defined()) throw std::logic_error("a parameter store is allocated once");
  if (compute_type != at::kFloat && compute_type != at::kBFloat16) {
    throw std::invalid_argument(std::string("parameters do not compute with operands of type ") +
                                c10::toString(compute_type) + "; set precision.compute to fp32 or bf16");
  }
  compute_type_ = compute_type;
  for (Parameter& parameter : parameters_) {
    parameter.view.offset = num_elements_;
    num_elements_ += parameter.num_elements;
  }
  flat_ = at::empty({num_elements_}, at::TensorOptions().dtype(at::kFloat).device(device));
  lay_out_compute_copies();
  for (std::size_t i = 0; i < parameters_.size(); ++i) parameters_[i].view = fused_view(i, 1);
}

void ParameterStore::lay_out_compute_copies() {
  compute_offsets_.assign(parameters_.size(), -1);
  if (compute_type_ == at::kFloat) return;
  std::int64_t num_copied = 0;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& parameter = parameters_[i];
    if (parameter.spec.compute_copy == ComputeCopy::kNo) continue;
    compute_offsets_[i] = num_copied;
    const bool continues =
        !copy_spans_.empty() && copy_spans_.back().source + copy_spans_.back().count == parameter.view.offset;
    if (!continues) copy_spans_.push_back({parameter.view.offset, num_copied, 0});
    copy_spans_.back().count += parameter.num_elements;
    num_copied += parameter.num_elements;
  }
  compute_flat_ = at::empty({num_copied}, flat_.options().dtype(compute_type_));
}

const Parameter* ParameterStore::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &parameters_[found->second];
}

ParameterView ParameterStore::fused_view(std::size_t first, std::size_t count) const {
  const Parameter& front = parameters_[first];
  std::vector<std::int64_t> shape = front.spec.box.extent;
  std::int64_t num_elements = front.num_elements;
  for (std::size_t i = first + 1; i < first + count; ++i) {
    shape[0] += parameters_[i].spec.box.extent[0];
    num_elements += parameters_[i].num_elements;
  }
  ParameterView view;
  view.offset = front.view.offset;
  view.sharded = front.spec.sharded();
  view.num_rows = front.spec.global_shape.empty() ? 1 : front.spec.global_shape[0];
  view.first_row = front.spec.box.start.empty() ? 0 : front.spec.box.start[0];
  view.value = flat_.narrow(0, view.offset, num_elements).view(shape);
  const std::int64_t copy = compute_offsets_[first];
  view.compute = copy < 0 ? view.value : compute_flat_.narrow(0, copy, num_elements).view(shape);
  return view;
}

ParameterView ParameterStore::view(std::span<const std::string> names) const {
  if (!flat_.defined()) throw std::logic_error("views exist once the parameter store is allocated");
  if (names.empty()) throw std::invalid_argument("a view needs at least one parameter");
  const auto first = index_.find(names.front());
  if (first == index_.end()) throw std::invalid_argument("there is no parameter " + names.front());
  const ParameterSpec& front = parameters_[first->second].spec;
  for (std::size_t i = 1; i < names.size(); ++i) {
    const std::size_t position = first->second + i;
    if (position >= parameters_.size() || parameters_[position].spec.name != names[i]) {
      throw std::invalid_argument("parameter " + names[i] + " was not declared right after " + names[i - 1] +
                                  ", so they cannot be fused");
    }
    const ParameterSpec& spec = parameters_[position].spec;
    const auto trailing = [](const ParameterSpec& s) { return std::span(s.box.extent).subspan(1); };
    if (front.box.extent.empty() || spec.box.extent.empty() || !std::ranges::equal(trailing(front), trailing(spec)) ||
        (compute_offsets_[position] < 0) != (compute_offsets_[first->second] < 0)) {
      throw std::invalid_argument("parameters " + names.front() + " and " + names[i] +
                                  " differ in trailing dims or compute copies, so they cannot be fused");
    }
  }
  return fused_view(first->second, names.size());
}

ParameterView ParameterStore::view(const std::string& name) const { return view(std::span(&name, 1)); }

void ParameterStore::refresh_compute_copies() {
  for (const CopySpan& span : copy_spans_) {
    compute_flat_.narrow(0, span.destination, span.count).copy_(flat_.narrow(0, span.source, span.count));
  }
}

std::string ParameterStore::hash() const {
  base::Xxh3Stream hash;
  for (const Parameter& parameter : parameters_) {
    const ParameterSpec& spec = parameter.spec;
    hash.add(spec.name.c_str(), spec.name.size() + 1);  // with the terminator, which no name contains
    for (const auto* extents : {&spec.global_shape, &spec.box.start, &spec.box.extent}) {
      const std::uint64_t dims = extents->size();
      hash.add(&dims, sizeof dims);
      hash.add(extents->data(), dims * sizeof(std::int64_t));
    }
  }
  const at::Tensor values = flat_.cpu();
  hash.add(values.const_data_ptr<float>(), values.nbytes());
  return hash.hex();
}

}  // namespace meshfold::models
