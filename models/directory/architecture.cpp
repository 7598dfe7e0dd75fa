#include "models/directory/architecture.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "models/files/config_json.hpp"
#include "models/networks/bert.hpp"
#include "models/networks/deberta.hpp"

namespace meshfold::models {
namespace {

bool replace_ending(std::string& name, std::string_view old_ending, std::string_view new_ending) {
  if (!name.ends_with(old_ending)) return false;
  name.replace(name.size() - old_ending.size(), old_ending.size(), new_ending);
  return true;
}

bool starts_with_one_of(std::string_view name, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](const auto& prefix) { return name.starts_with(prefix); });
}

const std::vector<Architecture>& architectures() {
  static const std::vector<Architecture> table = {
      {.model_type = "bert",
       .prefix = "bert.",
       .backbone_class = "BertModel",
       .classifier_class = "BertForSequenceClassification",
       .pooler = "bert.pooler.dense",
       .classifier_dropout_key = "classifier_dropout",
       .beside_backbone = {"cls.", "classifier."},
       .ignorable = {"cls.predictions.", "cls.seq_relationship.", "bert.embeddings.position_ids",
                     "bert.embeddings.token_type_ids"},
       .make_backbone =
           [](const ConfigJson& config, const DropoutOverrides& dropout) {
             return make_bert_backbone(read_bert_config(config), dropout);
           }},
      {.model_type = "deberta-v2",
       .prefix = "deberta.",
       .backbone_class = "DebertaV2Model",
       .classifier_class = "DebertaV2ForSequenceClassification",
       .pooler = "pooler.dense",
       .classifier_dropout_key = "cls_dropout",
       .beside_backbone = {"cls.", "classifier.", "pooler.", "lm_predictions.", "mask_predictions."},
       .ignorable = {"cls.predictions.", "lm_predictions.", "mask_predictions.", "deberta.embeddings.position_ids",
                     "deberta.embeddings.position_embeddings."},
       .make_backbone =
           [](const ConfigJson& config, const DropoutOverrides& dropout) {
             return make_deberta_backbone(read_deberta_config(config), dropout);
           }},
  };
  return table;
}

/// Relatives of the supported kinds that people name by mistake: why not, and what instead.
std::string advice_for(std::string_view model_type) {
  if (model_type == "deberta")
    return "; DeBERTa v1 has other attention and other tensors, DeBERTa-v3 models are deberta-v2";
  if (model_type == "funnel") return "; Funnel shortens its sequences from block to block";
  return "";
}

}  // namespace

std::string Architecture::canonical_name(std::string name) const {
  if (!replace_ending(name, "LayerNorm.gamma", "LayerNorm.weight"))
    replace_ending(name, "LayerNorm.beta", "LayerNorm.bias");
  const bool stands_alone =
      name.starts_with(prefix) || name.starts_with(kPoolingPrefix) || starts_with_one_of(name, beside_backbone);
  return stands_alone ? name : prefix + name;
}

bool Architecture::is_ignorable(std::string_view canonical_name) const {
  return starts_with_one_of(canonical_name, ignorable);
}

bool Architecture::is_pooler(std::string_view canonical_name) const { return canonical_name.starts_with(pooler + "."); }

const Architecture& architecture_of(const ConfigJson& config) {
  const std::optional<std::string> type = config.text("model_type");
  for (const Architecture& architecture : architectures()) {
    if (type == architecture.model_type) return architecture;
  }
  const std::string supported = base::joined(architectures(), ", ", &Architecture::model_type);
  if (!type) config.fail("lacks key 'model_type'; supported: " + supported);
  config.fail("model_type '" + *type + "' is not supported; supported: " + supported + advice_for(*type));
}

}  // namespace meshfold::models
