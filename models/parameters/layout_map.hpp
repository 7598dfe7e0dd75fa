#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/parameters/parameter_store.hpp"

namespace meshfold::dist {
class ProcessGroup;
}

namespace meshfold::models {

/// What a rule does with one dim of a tensor.
enum class Cut {
  kWhole,         ///< `-`: every rank holds all of it
  kTensor,        ///< `tensor`: cut evenly over the tensor axis
  kTensorUneven,  ///< `tensor~`: cut over the tensor axis, the first ranks with one unit more where it does not divide
};

/// One line of a layout map: `regular expression -> cut of dim 0, cut of dim 1, ...`
///
///     bert\.encoder\.layer\.\d+\.output\.dense\.weight -> -, tensor
///
/// The expression (ECMAScript) must match the whole Hugging Face name. `optional ` in front allows that it matches
/// none.
struct LayoutRule {
  std::string pattern;
  std::vector<Cut> dims;
  bool optional = false;

  std::string to_string() const;
};

/// Throws LayoutError if the text is not of that form.
LayoutRule parse_layout_rule(const std::string& text);
/// Rules separated by `;`. Empty text: none.
std::vector<LayoutRule> parse_layout_rules(const std::string& text);

/// What a layout map does with the parameters of a store, and all that is wrong with it.
struct LayoutFindings {
  std::vector<std::optional<LayoutRule>> rules;  ///< [parameter] that matches; none: whole on every rank
  std::vector<Box> boxes;                        ///< [parameter] of the tensor rank; of a rule that fits
  std::vector<std::string> faults;
};

/// How an architecture's parameters lie on the tensor axis, as Keras' LayoutMap: rules by name. A map is complete: what
/// no rule names is whole on every rank.
class LayoutMap {
 public:
  /// `defaults`: the architecture's own rules, in force if `rules` is empty; a rule that looks like a Keras path is
  /// answered with the one of them that was meant.
  LayoutMap(std::vector<LayoutRule> defaults, std::vector<LayoutRule> rules);

  const std::vector<LayoutRule>& rules() const { return rules_.empty() ? defaults_ : rules_; }

  /// What the map does with the parameters of `store` on tensor rank `rank` of `size`. Faults are: a rule that matches
  /// nothing, two rules for one parameter, a rule with another number of dims than its parameter, a dim whose units do
  /// not divide (`tensor`) or are fewer than the ranks, a cut parameter of the head.
  LayoutFindings inspect(const ParameterStore& store, int rank, int size) const;
  /// Gives every parameter of `store`, which is not allocated yet, its box. Throws LayoutError that lists every fault.
  void cut(ParameterStore& store, int rank, int size) const;

 private:
  std::vector<LayoutRule> defaults_, rules_;
};

/// Parameters that are whole on every rank of a tensor axis though they are large: at least 65,536 elements and a
/// hundredth of the model. "name [512, 768]".
std::vector<std::string> large_whole_parameters(const ParameterStore& store);

/// Which part of a model this rank holds and computes.
struct ModelLayout {
  std::vector<LayoutRule> rules = {};  ///< empty: the architecture's own
  int tensor_rank = 0, tensor_ranks = 1;
  /// The ranks of the tensor axis; outlives the model. Null: there is one rank, or the model is only looked at.
  dist::ProcessGroup* tensor = nullptr;
  int pipeline_rank = 0, pipeline_ranks = 1;
  std::vector<int> stage_layers = {};  ///< layers of each pipeline stage; empty: balanced by cost
  /// Where its parameters are. kMeta: nowhere; they have shapes, places and views, but no memory and no values.
  at::Device device = at::kCPU;
};

}  // namespace meshfold::models
