#include "jobs/results/job_result.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/durable_file.hpp"
#include "jobs/checkpoint/verified_file.hpp"
#include "jobs/error.hpp"
#include "jobs/scores/scores_json.hpp"
#include "models/error.hpp"
#include "models/files/safetensors.hpp"
#include "models/networks/pooling_names.hpp"
#include "models/networks/task_names.hpp"

namespace meshfold::jobs {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr int kFormatVersion = 1;
constexpr const char* kResultFile = "result.safetensors";
constexpr const char* kDoneFile = "done.json";
constexpr int kNoFold = -1;  // in done.json

json to_json(const checkpoint::FileDigest& digest) {
  return {{"file", kResultFile}, {"bytes", digest.size}, {"xxh3_128", digest.block_hashes}};
}

json to_json(const models::HeadConfig& head) {
  json features = json::array();
  for (const auto& feature : head.features) {
    features.push_back({{"name", feature.name}, {"mean", feature.mean}, {"scale", feature.scale}});
  }
  json object = {{"task", models::name_of(head.task)},
                 {"labels", head.labels},
                 {"views", head.views},
                 {"features", features}};
  models::write_pooling(head, object);
  return object;
}

models::HeadConfig head_from(const json& object) {
  models::HeadConfig head;
  const auto task = models::task_named(object.at("task").get<std::string>());
  // A task of a later version; taking it for another would silently give other numbers.
  if (!task) throw CheckpointError("task " + object.at("task").dump() + " is not known");
  head.task = *task;
  try {
    models::read_pooling(object, head);
  } catch (const std::invalid_argument& unknown) {
    throw CheckpointError(unknown.what());
  }
  head.labels = object.at("labels").get<std::vector<std::string>>();
  head.views = object.value("views", std::int64_t{1});
  for (const auto& feature : object.value("features", json::array())) {
    head.features.push_back(
        {feature.at("name").get<std::string>(), feature.at("mean").get<double>(), feature.at("scale").get<double>()});
  }
  return head;
}

json to_json(const JobRecord& record) {
  return {{"job", record.id.name},
          {"fold", record.id.fold.value_or(kNoFold)},
          {"num_folds", record.num_folds},
          {"selected_step", record.selected_step},
          {"steps", record.steps},
          {"samples_trained", record.samples_trained},
          {"training_samples", record.training_samples},
          {"seconds", record.seconds},
          {"samples_per_s", record.samples_per_s},
          {"scores", scores_to_json(record.scores)},
          {"last_scores", scores_to_json(record.last_scores)},
          {"larger_is_better", record.better == Better::kLarger},
          {"head", to_json(record.head)},
          {"model_path", record.model_path}};
}

JobRecord record_from(const json& object) {
  JobRecord record;
  record.id.name = object.at("job");
  if (const int fold = object.at("fold"); fold != kNoFold) record.id.fold = fold;
  record.num_folds = object.at("num_folds");
  record.selected_step = object.at("selected_step");
  record.steps = object.at("steps");
  record.samples_trained = object.at("samples_trained");
  record.training_samples = object.at("training_samples");
  record.seconds = object.at("seconds");
  record.samples_per_s = object.at("samples_per_s");
  record.scores = scores_from_json(object.at("scores"));
  record.better = object.at("larger_is_better").get<bool>() ? Better::kLarger : Better::kSmaller;
  record.last_scores = scores_from_json(object.at("last_scores"));
  record.head = head_from(object.at("head"));
  record.model_path = object.at("model_path");
  return record;
}

std::optional<json> read_done(const fs::path& job_directory) {
  const auto file = job_directory / kDoneFile;
  if (!fs::exists(file)) return std::nullopt;
  const auto contents = checkpoint::read_text(file);
  auto done = json::parse(contents, nullptr, false);
  if (done.is_discarded() || done.value("format_version", 0) != kFormatVersion) {
    throw CheckpointError(file.string() + ": not a result of format " + std::to_string(kFormatVersion) +
                          "; remove it to have the job finished again");
  }
  return done;
}

void refuse_other_origin(const fs::path& job_directory, const json& done, const ResultOrigin& origin) {
  const auto check = [&](const char* key, const std::string& expected, const char* what) {
    if (done.at("origin").at(key) == expected) return;
    throw ConfigError((job_directory / kDoneFile).string() + ": finished with another " + what +
                      "; use a new run directory");
  };
  check("config", origin.config_hash, "config");
  check("data", origin.data_hash, "training table");
  check("folds", origin.folds_hash, "fold assignment");
}

JobResult read_tensors(const fs::path& file, const JobRecord& record) {
  const auto tensors = models::SafetensorsFile::open(file);
  JobResult result{record, {}, {}, {}};
  if (tensors.entries().contains("rows")) {
    const auto rows = tensors.tensor("rows");
    const auto* first = rows.const_data_ptr<std::int64_t>();
    result.rows.assign(first, first + rows.numel());
    result.validation_predictions = tensors.tensor("validation_predictions");
  }
  if (tensors.entries().contains("test_predictions")) result.test_predictions = tensors.tensor("test_predictions");
  return result;
}

}  // namespace

void commit_result(const fs::path& job_directory, const JobResult& result, const ResultOrigin& origin) {
  fs::create_directories(job_directory);
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  if (!result.rows.empty()) {
    const std::vector<std::int64_t> rows(result.rows.begin(), result.rows.end());
    tensors.emplace_back("rows", at::tensor(rows, at::kLong));
    tensors.emplace_back("validation_predictions", result.validation_predictions.contiguous());
  }
  if (result.test_predictions.defined()) tensors.emplace_back("test_predictions", result.test_predictions.contiguous());

  // Absent first: a crash between the two files must leave no done.json beside a result that it does not describe.
  fs::remove(job_directory / kDoneFile);
  const auto file = job_directory / kResultFile;
  auto temporary = file;
  temporary += ".tmp";
  fs::remove(temporary);
  models::write_safetensors(temporary, tensors, {{"job", result.record.id.name}});
  base::rename_durably(temporary, file);

  auto done = to_json(result.record);
  done["format_version"] = kFormatVersion;
  done["origin"] = {{"config", origin.config_hash},
                    {"data", origin.data_hash},
                    {"folds", origin.folds_hash},
                    {"test", origin.test_hash}};
  done["result"] = to_json(checkpoint::digest_of(file));
  base::replace_file(job_directory / kDoneFile, done.dump(2) + "\n");
}

std::optional<JobRecord> read_record(const fs::path& job_directory) {
  const auto done = read_done(job_directory);
  if (!done) return std::nullopt;
  try {
    return record_from(*done);
  } catch (const json::exception& error) {
    throw CheckpointError((job_directory / kDoneFile).string() + ": " + error.what() +
                          "; remove it to have the job finished again");
  }
}

std::optional<JobResult> read_result(const fs::path& job_directory, const ResultOrigin& origin, std::string& note) {
  const auto record = read_record(job_directory);
  if (!record) return std::nullopt;
  const auto done = *read_done(job_directory);
  const auto file = job_directory / kResultFile;
  try {
    refuse_other_origin(job_directory, done, origin);
    if (done.at("origin").at("test") != origin.test_hash) {
      note = record->id.name + ": finished with another test table, its predictions are made again";
      return std::nullopt;
    }
    if (!fs::exists(file) || to_json(checkpoint::digest_of(file)) != done.at("result")) {
      note =
          file.string() + " does not match done.json; " + record->id.name + " is finished again from its checkpoints";
      return std::nullopt;
    }
    return read_tensors(file, *record);
  } catch (const json::exception& error) {
    throw CheckpointError((job_directory / kDoneFile).string() + ": " + error.what() +
                          "; remove it to have the job finished again");
  }
}

}  // namespace meshfold::jobs
