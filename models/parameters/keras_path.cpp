#include "models/parameters/keras_path.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace meshfold::models {
namespace {

/// A word of Keras' variable paths, and how the same matrix is called in the default rules of the architectures here.
struct Translation {
  std::string_view keras;
  std::array<std::string_view, 2> hugging_face;
};

/// The first word that a path contains decides; "attention" alone says nothing.
constexpr std::array<Translation, 10> kTranslations = {{
    {"token_embedding", {"word_embeddings", "embed_tokens"}},
    {"attention_output", {R"(attention\.output\.dense)", "o_proj"}},
    {"ffw_gating", {R"(intermediate\.dense)", "gate_proj"}},
    {"feedforward_intermediate", {R"(intermediate\.dense)", "gate_proj"}},
    {"feedforward_output", {R"(\d+\.output\.dense)", "down_proj"}},
    {"ffw_linear", {R"(\d+\.output\.dense)", "down_proj"}},
    {"query", {"query", "q_proj"}},
    {"key", {"key", "k_proj"}},
    {"value", {"value", "v_proj"}},
    {"qkv", {"query", "q_proj"}},
}};

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

bool looks_like_keras(std::string_view pattern) {
  return contains(pattern, "/") || contains(pattern, "kernel") || contains(pattern, "decoder_block") ||
         contains(pattern, "token_embedding");
}

/// The default rules for the matrix (not its bias) that the path names.
std::string meant_rules(std::string_view pattern, const std::vector<LayoutRule>& defaults) {
  const auto found = std::ranges::find_if(
      kTranslations, [&](const Translation& translation) { return contains(pattern, translation.keras); });
  std::string text;
  if (found == kTranslations.end()) return text;
  for (const LayoutRule& rule : defaults) {
    const bool meant = contains(rule.pattern, "weight") && std::ranges::any_of(found->hugging_face, [&](auto name) {
                         return contains(rule.pattern, name);
                       });
    if (meant) text += (text.empty() ? "'" : " and '") + rule.to_string() + "'";
  }
  return text;
}

}  // namespace

std::string advice_on_unmatched_rule(const LayoutRule& rule, const std::vector<LayoutRule>& defaults) {
  if (looks_like_keras(rule.pattern)) {
    const std::string meant = meant_rules(rule.pattern, defaults);
    return "; it reads like a Keras path, but parameters have their Hugging Face names here, whose matrices are [out, "
           "in] where Keras kernels are [in, out]" +
           (meant.empty() ? "" : "; the rule meant is " + meant);
  }
  return "; expressions must match a whole Hugging Face name; write `optional` in front if that may be";
}

}  // namespace meshfold::models
