#include "jobs/prepare/head.hpp"

#include <algorithm>
#include <string>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

void check_class_weights(const RunConfig& config, const models::HeadConfig& head) {
  const auto num_weights = config.loss.class_weights.size();
  if (num_weights == 0 || num_weights == head.labels.size()) return;
  std::string names;
  for (const auto& label : head.labels) names += (names.empty() ? "" : ", ") + label;
  throw ConfigError("loss.class_weights has " + std::to_string(num_weights) + " values, but there are " +
                    std::to_string(head.labels.size()) + " classes; give one value each, in this order: " + names);
}

void check_metric(const RunConfig& config, const models::HeadConfig& head) {
  const auto name = config.cv.metric.name_for(head.task);
  const auto fault = metric_fault(name, head.task, head.labels);
  if (!fault.empty()) throw ConfigError("cv.metric = '" + name + "' " + fault);
}

}  // namespace

models::HeadConfig head_of(const RunConfig& config, const PreparedDataset& prepared) {
  models::HeadConfig head;
  head.task = config.model.task;
  head.pooling = config.model.pooling;
  head.first_state = config.model.pooling_first_layer;
  head.layer_pooling = config.model.pooling_tokens;
  head.num_layers = config.model.pooling_layers;
  head.dropout_samples = config.model.dropout_samples;
  head.labels = head.task == models::Task::kClassification ? prepared.class_names : config.data.targets;
  head.dropout = config.model.head_dropout;
  head.views = prepared.dataset.views_per_sample();
  for (const auto& name : config.data.features) head.features.push_back({name});
  check_class_weights(config, head);
  check_metric(config, head);
  return head;
}

void check_inputs(const RunConfig& config, const models::HeadConfig& head, const data::Dataset& dataset) {
  const auto views = static_cast<std::int64_t>(dataset.views_per_sample());
  if (views != head.views) {
    throw ConfigError("the model reads " + std::to_string(head.views) + (head.views == 1 ? " text" : " texts") +
                      " a row, but data.texts and data.templates make " + std::to_string(views) +
                      "; set them as they were in training");
  }
  const auto has_name = [](const models::Feature& feature, const std::string& name) { return feature.name == name; };
  if (std::ranges::equal(head.features, config.data.features, has_name)) return;
  std::string names;
  for (const auto& feature : head.features) names += (names.empty() ? "" : ", ") + feature.name;
  throw ConfigError("the model reads " + (names.empty() ? "no features" : "the features " + names) +
                    ", in this order; set data.features " + (names.empty() ? "to nothing" : "so"));
}

}  // namespace meshfold::jobs
