#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "data/table.hpp"
#include "jobs/config/run_config.hpp"

namespace meshfold::jobs {

/// The target columns of a training table, as model.task reads them: values (regression), one column of class names, a
/// column of shares for each class (one-hot or soft labels), or a column for each label that is 0, 1 or a probability
/// (multi-label). Every InputError names row, line and column.
class TargetColumns {
 public:
  /// The shares of a row must add up to 1 to within this; they are then divided by their sum.
  static constexpr double kShareTolerance = 0.01;

  /// InputError for a column that is missing, ConfigError if the config's classes do not fit its targets. `table` must
  /// outlive this.
  TargetColumns(const data::Table& table, const DataSection& roles, models::Task task);

  /// Reads the class column of all rows: names that data.classes lists, in its order; else all names that occur, sorted
  /// by bytes.
  void scan();
  /// Classification only; empty for other tasks. After scan().
  const std::vector<std::string>& class_names() const { return class_names_; }
  std::uint32_t width() const { return static_cast<std::uint32_t>(columns_.size()); }
  /// Appends the row's `width()` values: class number, shares, or values. After scan().
  void append(std::size_t row, std::vector<float>& targets) const;

 private:
  bool has_class_column() const { return task_ == models::Task::kClassification && columns_.size() == 1; }
  float class_number(std::size_t row) const;
  void append_shares(std::size_t row, std::vector<float>& targets) const;
  double share(std::size_t row, std::size_t column) const;

  const data::Table& table_;
  models::Task task_;
  std::vector<std::size_t> columns_;
  std::vector<std::string> class_names_;
  std::unordered_map<std::string, std::size_t> class_of_name_;
};

/// The cell as a finite fp32 number; InputError for what is none.
float read_float(const data::Table& table, std::size_t row, std::size_t column);

}  // namespace meshfold::jobs
