#include "jobs/report/run_notes.hpp"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/durable_file.hpp"
#include "models/networks/task_names.hpp"

namespace meshfold::jobs {
namespace {

using Json = nlohmann::ordered_json;
using Pairs = std::vector<std::pair<std::string, std::string>>;
namespace fs = std::filesystem;

constexpr const char* kFile = "summary.json";
constexpr int kFormatVersion = 1;
constexpr std::size_t kBars = 32;

Json to_json(const Scores& scores) {
  Json object = Json::object();
  for (const auto& [name, value] : scores) object[name] = std::isfinite(value) ? Json(value) : Json(nullptr);
  return object;
}

Scores scores_from(const Json& object) {
  Scores scores;
  for (const auto& [name, value] : object.items()) {
    scores.emplace_back(name, value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN());
  }
  return scores;
}

Json to_json(const Pairs& pairs) {
  Json list = Json::array();
  for (const auto& [label, value] : pairs) list.push_back(Json::array({label, value}));
  return list;
}

Json to_json(const LengthCounts& lengths) {
  return {{"low", lengths.low},
          {"width", lengths.width},
          {"counts", lengths.counts},
          {"longest", lengths.longest},
          {"at_limit", lengths.at_limit}};
}

LengthCounts lengths_from(const Json& json) {
  return {json.at("low"), json.at("width"), json.at("counts"), json.at("longest"), json.at("at_limit")};
}

}  // namespace

LengthCounts count_lengths(const data::Dataset& dataset, std::size_t max_length) {
  LengthCounts lengths;
  const std::uint64_t texts = std::uint64_t{dataset.num_samples()} * dataset.views_per_sample();
  if (texts == 0) return lengths;
  lengths.low = dataset.length(0);
  for (std::uint64_t text = 0; text < texts; ++text) {
    const std::size_t length = dataset.length(text);
    lengths.low = std::min(lengths.low, length);
    lengths.longest = std::max(lengths.longest, length);
    lengths.at_limit += length >= max_length ? 1 : 0;
  }
  lengths.width = (lengths.longest - lengths.low) / kBars + 1;
  lengths.counts.resize((lengths.longest - lengths.low) / lengths.width + 1);
  for (std::uint64_t text = 0; text < texts; ++text) {
    ++lengths.counts[(dataset.length(text) - lengths.low) / lengths.width];
  }
  return lengths;
}

void write_notes(const fs::path& run, const RunNotes& notes) {
  const Json json = {
      {"format", kFormatVersion},      {"command", notes.command},        {"task", models::name_of(notes.task)},
      {"labels", notes.labels},        {"scores", to_json(notes.pooled)}, {"trivial_scores", to_json(notes.trivial)},
      {"facts", to_json(notes.facts)}, {"files", to_json(notes.files)},   {"lengths", to_json(notes.lengths)}};
  base::replace_file(run / kFile, json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
}

std::optional<RunNotes> read_notes(const fs::path& run) {
  std::ifstream in(run / kFile, std::ios::binary);
  const Json json = Json::parse(in, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || json.value("format", Json()) != kFormatVersion) return std::nullopt;
  try {
    RunNotes notes;
    notes.command = json.at("command");
    const auto task = models::task_named(json.at("task").get<std::string>());
    if (!task) return std::nullopt;
    notes.task = *task;
    notes.labels = json.at("labels").get<std::vector<std::string>>();
    notes.pooled = scores_from(json.at("scores"));
    notes.trivial = scores_from(json.at("trivial_scores"));
    notes.facts = json.at("facts").get<Pairs>();
    notes.files = json.at("files").get<Pairs>();
    notes.lengths = lengths_from(json.at("lengths"));
    return notes;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

}  // namespace meshfold::jobs
