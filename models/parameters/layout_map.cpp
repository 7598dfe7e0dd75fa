#include "models/parameters/layout_map.hpp"

#include <algorithm>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <utility>

#include "base/text.hpp"
#include "models/error.hpp"
#include "models/parameters/keras_path.hpp"

namespace meshfold::models {
namespace {

constexpr std::string_view kArrow = "->";
constexpr std::string_view kOptional = "optional ";

std::string trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t\n");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\n") - begin + 1));
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> items;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, separator);) items.push_back(trimmed(item));
  return items;
}

std::optional<Cut> cut_of(const std::string& word) {
  if (word == "-") return Cut::kWhole;
  if (word == "tensor") return Cut::kTensor;
  if (word == "tensor~") return Cut::kTensorUneven;
  return std::nullopt;
}

const char* word_of(Cut cut) { return cut == Cut::kWhole ? "-" : cut == Cut::kTensor ? "tensor" : "tensor~"; }

/// The piece of tensor rank `rank` of `size`; what keeps the rule from fitting goes to `faults`.
Box box_of(const ParameterSpec& spec, const LayoutRule& rule, int rank, int size, std::vector<std::string>& faults) {
  Box box{std::vector<std::int64_t>(spec.global_shape.size(), 0), spec.global_shape};
  const std::string subject = spec.name + " " + shape_text(spec.global_shape);
  if (rule.dims.size() != spec.global_shape.size()) {
    faults.push_back("layout rule '" + rule.to_string() + "' has " + std::to_string(rule.dims.size()) + " dims, but " +
                     subject + " has " + std::to_string(spec.global_shape.size()));
    return box;
  }
  for (std::size_t d = 0; d < rule.dims.size(); ++d) {
    if (rule.dims[d] == Cut::kWhole) continue;
    const std::int64_t unit = spec.units.empty() ? 1 : spec.units[d], units = spec.global_shape[d] / unit;
    const std::string dim = "dim " + std::to_string(d) + " of " + subject + ", " + std::to_string(units) +
                            (unit == 1 ? " rows" : " heads") + ", ";
    if (rule.dims[d] == Cut::kTensor && units % size != 0) {
      faults.push_back(dim + "does not divide among mesh.tensor = " + std::to_string(size) +
                       " ranks; choose a divisor of " + std::to_string(units) +
                       (unit == 1 ? ", or write tensor~ in its layout rule" : ""));
    } else if (units < size) {
      faults.push_back(dim + "is less than one a rank for mesh.tensor = " + std::to_string(size));
    }
    const std::int64_t more = units % size;
    box.start[d] = unit * (rank * (units / size) + std::min<std::int64_t>(rank, more));
    box.extent[d] = unit * (units / size + (rank < more ? 1 : 0));
  }
  return box;
}

}  // namespace

std::string LayoutRule::to_string() const {
  return (optional ? std::string(kOptional) : "") + pattern + " " + std::string(kArrow) + " " +
         base::joined(dims, ", ", word_of);
}

LayoutRule parse_layout_rule(const std::string& text) {
  const std::string form = "; a rule is written: regular expression -> dims, each -, tensor or tensor~";
  const auto arrow = text.rfind(kArrow);
  if (arrow == std::string::npos) throw LayoutError("layout rule '" + text + "' has no '->'" + form);
  LayoutRule rule;
  rule.pattern = trimmed(text.substr(0, arrow));
  rule.optional = rule.pattern.starts_with(kOptional);
  if (rule.optional) rule.pattern = trimmed(rule.pattern.substr(kOptional.size()));
  if (rule.pattern.empty()) throw LayoutError("layout rule '" + text + "' names no parameter" + form);
  try {
    std::regex check(rule.pattern);
  } catch (const std::regex_error& error) {
    throw LayoutError("layout rule '" + text + "': the regular expression is not valid: " + error.what());
  }
  for (const std::string& word : split(text.substr(arrow + kArrow.size()), ',')) {
    const std::optional<Cut> cut = cut_of(word);
    if (!cut) throw LayoutError("layout rule '" + text + "': '" + word + "' is none of -, tensor, tensor~" + form);
    rule.dims.push_back(*cut);
  }
  return rule;
}

std::vector<LayoutRule> parse_layout_rules(const std::string& text) {
  std::vector<LayoutRule> rules;
  for (const std::string& item : split(text, ';')) {
    if (!item.empty()) rules.push_back(parse_layout_rule(item));
  }
  return rules;
}

LayoutMap::LayoutMap(std::vector<LayoutRule> defaults, std::vector<LayoutRule> rules)
    : defaults_(std::move(defaults)), rules_(std::move(rules)) {}

LayoutFindings LayoutMap::inspect(const ParameterStore& store, int rank, int size) const {
  LayoutFindings found{std::vector<std::optional<LayoutRule>>(store.size()), {}, {}};
  for (const LayoutRule& rule : rules()) {
    const std::regex expression(rule.pattern);
    bool matches = false;
    for (std::size_t i = 0; i < store.size(); ++i) {
      const ParameterSpec& spec = store[i].spec;
      if (!std::regex_match(spec.name, expression)) continue;
      matches = true;
      if (found.rules[i]) {
        found.faults.push_back(spec.name + " is matched by two layout rules, '" + found.rules[i]->to_string() +
                               "' and '" + rule.to_string() + "'; make one of them narrower");
        continue;
      }
      found.rules[i] = rule;
    }
    if (!matches && !rule.optional) {
      found.faults.push_back("layout rule '" + rule.to_string() + "' matches no parameter" +
                             advice_on_unmatched_rule(rule, defaults_));
    }
  }
  for (std::size_t i = 0; i < store.size(); ++i) {
    const ParameterSpec& spec = store[i].spec;
    found.boxes.push_back(found.rules[i] ? box_of(spec, *found.rules[i], rank, size, found.faults) : spec.box);
    if (spec.region == Region::kSamples && found.boxes[i].extent != spec.global_shape) {
      found.faults.push_back("layout: " + spec.name +
                             " belongs to the head, which every tensor rank computes whole; take its rule out");
    }
  }
  return found;
}

void LayoutMap::cut(ParameterStore& store, int rank, int size) const {
  const LayoutFindings found = inspect(store, rank, size);
  if (!found.faults.empty()) {
    std::string text;
    for (const std::string& fault : found.faults) text += (text.empty() ? "" : "\n  ") + fault;
    throw LayoutError(text);
  }
  for (std::size_t i = 0; i < store.size(); ++i) store.set_box(i, found.boxes[i]);
}

std::vector<std::string> large_whole_parameters(const ParameterStore& store) {
  constexpr std::int64_t kLarge = 1 << 16;
  std::int64_t total = 0;
  const auto elements_of = [](const ParameterSpec& spec) {
    std::int64_t count = 1;
    for (const std::int64_t extent : spec.global_shape) count *= extent;
    return count;
  };
  for (const Parameter& parameter : store) total += elements_of(parameter.spec);
  std::vector<std::string> names;
  for (const Parameter& parameter : store) {
    const std::int64_t elements = elements_of(parameter.spec);
    if (parameter.num_elements == elements && elements >= kLarge && elements * 100 >= total) {
      names.push_back(parameter.spec.name + " " + shape_text(parameter.spec.global_shape));
    }
  }
  return names;
}

}  // namespace meshfold::models
