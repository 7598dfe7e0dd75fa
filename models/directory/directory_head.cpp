#include "models/directory/directory_head.hpp"

#include <algorithm>
#include <stdexcept>

#include "models/networks/pooling_names.hpp"

namespace meshfold::models {
namespace {

using Json = ConfigJson::Json;
constexpr const char* kOwnKey = "meshfold_head";
constexpr const char* kRegression = "regression";
constexpr const char* kClassification = "single_label_classification";
constexpr const char* kMultiLabel = "multi_label_classification";

Task task_of(const ConfigJson& config, const std::string& name) {
  if (name == kRegression) return Task::kRegression;
  if (name == kClassification) return Task::kClassification;
  if (name == kMultiLabel) return Task::kMultiLabel;
  config.fail("problem_type '" + name + "' is not supported; supported: " + kRegression + ", " + kClassification +
              ", " + kMultiLabel);
}

const char* problem_type_of(Task task) {
  switch (task) {
    case Task::kRegression:
      return kRegression;
    case Task::kClassification:
      return kClassification;
    case Task::kMultiLabel:
      return kMultiLabel;
  }
  throw std::invalid_argument("a head has an unknown task");
}

/// id2label in the order of its numbers; transformers leaves it out when it is the default of two labels.
std::vector<std::string> labels_of(const ConfigJson& config) {
  const Json* map = config.find("id2label");
  if (!map) return {"LABEL_0", "LABEL_1"};
  if (!map->is_object() || map->empty()) config.fail("key 'id2label' must be an object of label names");
  std::vector<std::string> labels;
  for (std::size_t id = 0; id < map->size(); ++id) {
    const auto found = map->find(std::to_string(id));
    if (found == map->end() || !found->is_string()) {
      config.fail("key 'id2label' must name the labels 0 to " + std::to_string(map->size() - 1) + "; label " +
                  std::to_string(id) + " is missing or no string");
    }
    labels.push_back(found->get<std::string>());
  }
  return labels;
}

HeadConfig read_meshfold_head(const ConfigJson& config, const Json& own) {
  try {
    HeadConfig head;
    read_pooling(own, head);
    head.task = task_of(config, own.at("problem_type").get<std::string>());
    head.labels = own.at("labels").get<std::vector<std::string>>();
    if (head.labels.empty()) config.fail("meshfold_head.labels is empty");
    const double dropout = own.at("dropout").get<double>();
    if (!(dropout >= 0.0 && dropout < 1.0)) config.fail("meshfold_head.dropout must be in [0, 1)");
    head.dropout = dropout;
    head.views = own.value("views", std::int64_t{1});
    if (head.views < 1) config.fail("meshfold_head.views must be at least 1");
    for (const Json& feature : own.value("features", Json::array())) {
      head.features.push_back(
          {feature.at("name").get<std::string>(), feature.at("mean").get<double>(), feature.at("scale").get<double>()});
      if (!(head.features.back().scale > 0.0)) config.fail("meshfold_head.features: a scale must be above 0");
    }
    return head;
  } catch (const nlohmann::json::exception& error) {
    config.fail(std::string("key 'meshfold_head' is damaged (") + error.what() + "); export the model again");
  } catch (const std::invalid_argument& error) {
    config.fail(std::string("key 'meshfold_head': ") + error.what() + "; a newer version may read it");
  }
}

}  // namespace

bool has_own_file(const HeadConfig& head) {
  return head.pooling != Pooling::kCls || head.views > 1 || !head.features.empty();
}

bool same_pooling(const HeadConfig& a, const HeadConfig& b) {
  if (a.pooling != b.pooling) return false;
  if (a.pooling == Pooling::kWeightedLayers) {
    return a.first_state == b.first_state && a.layer_pooling == b.layer_pooling;
  }
  return a.pooling != Pooling::kConcatCls || a.num_layers == b.num_layers;
}

std::optional<HeadConfig> read_head(const ConfigJson& config, const Architecture& architecture) {
  if (const Json* own = config.find(kOwnKey)) return read_meshfold_head(config, *own);
  const Json* architectures = config.find("architectures");
  if (!architectures || !architectures->is_array()) return std::nullopt;
  if (std::find(architectures->begin(), architectures->end(), architecture.classifier_class) == architectures->end())
    return std::nullopt;
  HeadConfig head;
  head.labels = labels_of(config);
  // Without a problem_type transformers decides by the number of labels.
  const char* usual = head.labels.size() == 1 ? kRegression : kClassification;
  head.task = task_of(config, config.text("problem_type").value_or(usual));
  return head;
}

void write_head(const HeadConfig& head, const Architecture& architecture, ConfigJson& config) {
  Json& json = config.json();
  for (const char* key : {kOwnKey, "id2label", "label2id", "num_labels", "problem_type"}) json.erase(key);
  for (std::size_t id = 0; id < head.labels.size(); ++id) {
    json["id2label"][std::to_string(id)] = head.labels[id];
    json["label2id"][head.labels[id]] = id;
  }
  const char* problem_type = problem_type_of(head.task);
  if (has_own_file(head)) {
    json["architectures"] = {architecture.backbone_class};
    Json features = Json::array();
    for (const Feature& feature : head.features) {
      features.push_back({{"name", feature.name}, {"mean", feature.mean}, {"scale", feature.scale}});
    }
    json[kOwnKey] = {{"problem_type", problem_type},
                     {"labels", head.labels},
                     {"views", head.views},
                     {"features", features},
                     {"file", kHeadFile}};
    write_pooling(head, json[kOwnKey]);
    return;
  }
  json["architectures"] = {architecture.classifier_class};
  json["problem_type"] = problem_type;
}

}  // namespace meshfold::models
