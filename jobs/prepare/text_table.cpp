#include "jobs/prepare/text_table.hpp"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "data/error.hpp"
#include "data/table_sample.hpp"
#include "jobs/error.hpp"
#include "models/networks/task_names.hpp"

namespace meshfold::jobs {
namespace {

/// What a table of this role has: a test table has no targets.
DataSection with_role(DataSection data, TableRole role) {
  if (role == TableRole::kTest) {
    data.targets.clear();
    data.classes.clear();
    data.group.clear();
    data.fold.clear();
    data.sample_rows = 0;
  }
  return data;
}

/// Without targets there is no task; the values of a regression need nothing.
models::Task with_role(models::Task task, TableRole role) {
  return role == TableRole::kTest ? models::Task::kRegression : task;
}

const char* name_of(data::Turns turns) {
  switch (turns) {
    case data::Turns::kNone:
      return "none";
    case data::Turns::kRaw:
      return "raw";
    case data::Turns::kFirst:
      return "first";
    case data::Turns::kLast:
      return "last";
    case data::Turns::kAll:
      return "all";
  }
  return "";
}

std::string roles_in_json(const DataSection& roles, models::Task task, std::uint32_t seed, TableRole role) {
  nlohmann::ordered_json json;
  json["id"] = roles.id;
  json["text"] = roles.texts.empty() ? std::vector<std::string>{roles.text} : roles.texts;
  json["templates"] = roles.templates;
  json["text_pair"] = roles.text_pair;
  json["turns"] = name_of(roles.turns);
  json["turn_columns"] = roles.turn_columns;
  json["turn_joiner"] = roles.turn_joiner;
  json["features"] = roles.features;
  json["targets"] = roles.targets;
  json["classes"] = roles.classes;
  json["group"] = roles.group;
  json["fold"] = roles.fold;
  json["task"] = role == TableRole::kTest ? "none" : name_of(task);
  json["empty_text"] = roles.empty_text == EmptyText::kKeep ? "keep" : "error";
  if (roles.sample_rows > 0) json["sample"] = {roles.sample_rows, seed};
  return json.dump();
}

/// The table, or the sample of it that data.sample_rows asks for. Every class and every fold keeps a row: fewer of them
/// would be another problem.
std::unique_ptr<const data::Table> open_rows(const std::filesystem::path& file, const DataSection& roles,
                                             models::Task task, std::uint32_t seed) {
  auto table = data::open_table(file);
  if (roles.sample_rows == 0) return table;
  std::vector<std::size_t> covered;
  if (task == models::Task::kClassification && roles.targets.size() == 1) {
    covered.push_back(table->column(roles.targets.front()));
  }
  if (!roles.fold.empty()) covered.push_back(table->column(roles.fold));
  return data::sample_rows(std::move(table), static_cast<std::size_t>(roles.sample_rows), seed, covered);
}

}  // namespace

TextTable::TextTable(const std::filesystem::path& file, const RunConfig& config, TableRole role)
    : TextTable(file, with_role(config.data, role), with_role(config.model.task, role), config, role) {}

TextTable::TextTable(const std::filesystem::path& file, const DataSection& roles, models::Task task,
                     const RunConfig& config, TableRole role)
    : table_(open_rows(file, roles, task, config.run.seed)),
      views_(*table_, roles),
      targets_(*table_, roles, task),
      truncation_(truncation_of(config.tokenizer)),
      id_(table_->column(roles.id)) {
  for (const std::string& name : roles.features) features_.push_back(table_->column(name));
  if (!roles.group.empty()) group_ = table_->column(roles.group);
  if (!roles.fold.empty()) fold_ = table_->column(roles.fold);
  check_size();
  roles_ = roles_in_json(roles, task, config.run.seed, role);
}

void TextTable::check_size() const {
  const data::InputPlace whole{table_->file().string(), {}, {}, {}};
  if (table_->num_rows() == 0) throw data::InputError(whole, "there are no rows below the header");
  // Draws are keyed by row x views + view in 32 bits.
  if (table_->num_rows() >= std::numeric_limits<std::uint32_t>::max() / num_views()) {
    throw data::InputError(whole, "more than 4,294,967,294 texts; cut the table into several");
  }
}

void TextTable::check_ids() const {
  std::unordered_map<std::string, std::size_t> first_row;
  first_row.reserve(table_->num_rows());
  for (std::size_t row = 0; row < table_->num_rows(); ++row) {
    std::string id = table_->cell(row, id_);
    if (id.empty()) throw data::InputError(table_->place(row, id_), "empty id; every row needs its own");
    if (id.find('\0') != std::string::npos) {
      throw data::InputError(table_->place(row, id_), "a NUL in an id, which no CSV file can hold; change the id");
    }
    const auto [found, inserted] = first_row.emplace(std::move(id), row);
    if (!inserted) {
      throw data::InputError(table_->place(row, id_), "the id '" + found->first + "' is already that of row " +
                                                          std::to_string(found->second + 1) +
                                                          "; every row needs its own");
    }
  }
}

void TextTable::scan_groups() {
  std::unordered_map<std::string, std::int32_t> codes;
  for (std::size_t row = 0; row < table_->num_rows(); ++row) {
    std::string name = table_->cell(row, *group_);
    if (name.empty()) throw data::InputError(table_->place(row, *group_), "empty group; every row needs one");
    const auto [found, inserted] = codes.emplace(std::move(name), static_cast<std::int32_t>(codes.size()));
    if (inserted) group_names_.push_back(found->first);
    group_codes_.push_back(found->second);
  }
}

void TextTable::scan() {
  check_ids();
  if (group_) scan_groups();
  targets_.scan();
}

std::vector<std::uint64_t> TextTable::text_bytes() const {
  std::vector<std::uint64_t> bytes(table_->num_rows());
  for (std::size_t row = 0; row < bytes.size(); ++row) bytes[row] = 1 + views_.num_bytes(row);
  return bytes;
}

std::int16_t TextTable::fold(std::size_t row) const {
  const double value = table_->number(row, *fold_);
  if (value < 0 || value > std::numeric_limits<std::int16_t>::max() || value != std::floor(value)) {
    throw data::InputError(table_->place(row, *fold_),
                           "'" + table_->cell(row, *fold_) + "' is no fold; folds are whole numbers from 0");
  }
  return static_cast<std::int16_t>(value);
}

data::EncodedInput TextTable::encode(std::size_t row, const std::string& text, const std::string* pair,
                                     const data::Tokenizer& tokenizer) const {
  try {
    return data::encode_input(tokenizer, text, pair, truncation_);
  } catch (const std::length_error& error) {
    throw data::InputError({table_->file().string(), row + 1, table_->line_of(row), {}}, error.what());
  }
}

void TextTable::append_inputs(std::size_t row, const data::Tokenizer& tokenizer, data::DatasetPart& part) const {
  std::string second;
  if (views_.has_pairs()) second = views_.pair(row);
  for (std::uint32_t view = 0; view < views_.num_views(); ++view) {
    const data::EncodedInput input =
        encode(row, views_.text(row, view), views_.has_pairs() ? &second : nullptr, tokenizer);
    part.tokens.insert(part.tokens.end(), input.ids.begin(), input.ids.end());
    part.lengths.push_back(static_cast<std::uint32_t>(input.ids.size()));
    part.pair_starts.push_back(input.pair_start);
  }
}

data::DatasetPart TextTable::tokenize(std::size_t begin, std::size_t end, const data::Tokenizer& tokenizer) const {
  data::DatasetPart part;
  part.first_sample = begin;
  for (std::size_t row = begin; row < end; ++row) {
    append_inputs(row, tokenizer, part);
    targets_.append(row, part.targets);
    for (const std::size_t column : features_) part.features.push_back(read_float(*table_, row, column));
    if (fold_) part.folds.push_back(fold(row));
    if (group_) part.group_codes.push_back(group_codes_[row]);
    part.ids.push_back(table_->cell(row, id_));
  }
  return part;
}

}  // namespace meshfold::jobs
