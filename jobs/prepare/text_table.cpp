#include "jobs/prepare/text_table.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <utility>

#include "jobs/error.hpp"

namespace meshfold::jobs {
namespace {

bool is_blank(const std::string& text) { return text.find_first_not_of(" \t\r\n\v\f") == std::string::npos; }

}  // namespace

TextTable::TextTable(const std::filesystem::path& file, const RunConfig& config, TableRole role)
    : table_(data::open_table(file)),
      classification_(config.model.task == models::Task::kClassification),
      empty_text_(config.data.empty_text),
      max_length_(static_cast<std::size_t>(config.tokenizer.max_length)) {
  const DataSection& roles = config.data;
  const bool training = role == TableRole::kTrain;
  if (training && classification_ && roles.targets.size() != 1) {
    throw ConfigError("data.targets names " + std::to_string(roles.targets.size()) +
                      " columns; classification needs exactly one, which holds class names");
  }
  id_ = table_->column(roles.id);
  text_ = table_->column(roles.text);
  if (!roles.text_pair.empty()) text_pair_ = table_->column(roles.text_pair);
  if (training) {
    for (const std::string& target : roles.targets) targets_.push_back(table_->column(target));
    if (!roles.group.empty()) group_ = table_->column(roles.group);
    if (!roles.fold.empty()) fold_ = table_->column(roles.fold);
  }
  if (table_->num_rows() == 0) {
    throw data::InputError({file.string(), {}, {}, {}}, "there are no rows below the header");
  }
  if (table_->num_rows() >= std::numeric_limits<std::uint32_t>::max()) {
    throw data::InputError({file.string(), {}, {}, {}}, "more than 4,294,967,294 rows; cut the table into several");
  }

  nlohmann::ordered_json json;
  json["id"] = roles.id;
  json["text"] = roles.text;
  json["text_pair"] = roles.text_pair;
  json["targets"] = training ? roles.targets : std::vector<std::string>();
  json["group"] = training ? roles.group : "";
  json["fold"] = training ? roles.fold : "";
  json["task"] = !training ? "none" : classification_ ? "classification" : "regression";
  json["empty_text"] = empty_text_ == EmptyText::kKeep ? "keep" : "error";
  roles_ = json.dump();
}

void TextTable::check_ids() const {
  std::unordered_map<std::string, std::size_t> first_row;
  first_row.reserve(table_->num_rows());
  for (std::size_t row = 0; row < table_->num_rows(); ++row) {
    std::string id = table_->cell(row, id_);
    if (id.empty()) throw data::InputError(place(row, id_), "empty id; every row needs its own");
    const auto [found, inserted] = first_row.emplace(std::move(id), row);
    if (!inserted) {
      throw data::InputError(place(row, id_), "the id '" + found->first + "' is already that of row " +
                                                  std::to_string(found->second + 1) + "; every row needs its own");
    }
  }
}

void TextTable::scan() {
  check_ids();
  if (group_) {
    std::unordered_map<std::string, std::int32_t> codes;
    for (std::size_t row = 0; row < table_->num_rows(); ++row) {
      std::string name = table_->cell(row, *group_);
      if (name.empty()) throw data::InputError(place(row, *group_), "empty group; every row needs one");
      const auto [found, inserted] = codes.emplace(std::move(name), static_cast<std::int32_t>(codes.size()));
      if (inserted) group_names_.push_back(found->first);
      group_codes_.push_back(found->second);
    }
  }
  if (classification_ && !targets_.empty()) {
    for (std::size_t row = 0; row < table_->num_rows(); ++row) {
      std::string name = table_->cell(row, targets_[0]);
      if (is_blank(name))
        throw data::InputError(place(row, targets_[0]), "empty class name; label the row or remove it");
      class_names_.push_back(std::move(name));
    }
    std::sort(class_names_.begin(), class_names_.end());
    class_names_.erase(std::unique(class_names_.begin(), class_names_.end()), class_names_.end());
    if (class_names_.size() < 2) {
      throw data::InputError({table_->file().string(), {}, {}, table_->columns()[targets_[0]]},
                             "every row has the class '" + class_names_[0] + "'; classification needs at least two");
    }
  }
}

std::uint32_t TextTable::num_targets() const { return static_cast<std::uint32_t>(targets_.size()); }

std::vector<std::uint64_t> TextTable::text_bytes() const {
  std::vector<std::uint64_t> bytes(table_->num_rows());
  for (std::size_t row = 0; row < bytes.size(); ++row) {
    bytes[row] = 1 + table_->cell(row, text_).size() + (text_pair_ ? table_->cell(row, *text_pair_).size() : 0);
  }
  return bytes;
}

std::string TextTable::text(std::size_t row, std::size_t column) const {
  std::string text = table_->cell(row, column);
  if (empty_text_ == EmptyText::kError && is_blank(text)) {
    throw data::InputError(place(row, column), "empty text; remove the row or set data.empty_text = keep");
  }
  return text;
}

void TextTable::append_targets(std::size_t row, std::vector<float>& targets) const {
  for (const std::size_t column : targets_) {
    if (classification_) {
      const auto found = std::lower_bound(class_names_.begin(), class_names_.end(), table_->cell(row, column));
      targets.push_back(static_cast<float>(found - class_names_.begin()));
      continue;
    }
    const auto value = static_cast<float>(table_->number(row, column));
    if (!std::isfinite(value))
      throw data::InputError(place(row, column), "the number is too large for 32-bit floating point");
    targets.push_back(value);
  }
}

std::int16_t TextTable::fold(std::size_t row) const {
  const double value = table_->number(row, *fold_);
  if (value < 0 || value > std::numeric_limits<std::int16_t>::max() || value != std::floor(value)) {
    throw data::InputError(place(row, *fold_),
                           "'" + table_->cell(row, *fold_) + "' is no fold; folds are whole numbers from 0");
  }
  return static_cast<std::int16_t>(value);
}

data::DatasetPart TextTable::tokenize(std::size_t begin, std::size_t end, const data::Tokenizer& tokenizer) const {
  data::DatasetPart part;
  part.first_sample = begin;
  for (std::size_t row = begin; row < end; ++row) {
    const std::string first = text(row, text_);
    std::string second;
    if (text_pair_) second = text(row, *text_pair_);
    const data::EncodedInput input = data::encode_input(tokenizer, first, text_pair_ ? &second : nullptr, {.max_length = max_length_});
    part.tokens.insert(part.tokens.end(), input.ids.begin(), input.ids.end());
    part.lengths.push_back(static_cast<std::uint32_t>(input.ids.size()));
    part.pair_starts.push_back(input.pair_start);
    append_targets(row, part.targets);
    if (fold_) part.folds.push_back(fold(row));
    if (group_) part.group_codes.push_back(group_codes_[row]);
    part.ids.push_back(table_->cell(row, id_));
  }
  return part;
}

}  // namespace meshfold::jobs
