#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// Rows that the model which predicts them did not see, with the truth: what oof.csv or validation.csv holds.
struct HeldOut {
  models::Task task = models::Task::kRegression;
  std::vector<std::string> targets;  ///< columns of the truth
  std::vector<std::string> labels;   ///< columns of the predictions
  std::vector<std::string> ids;      ///< [N]
  std::vector<int> folds;            ///< [N]
  std::vector<float> truth;          ///< [N, targets]; one class column: the class number
  std::vector<float> predicted;      ///< [N, labels]: values or probabilities

  std::size_t size() const { return ids.size(); }
  float truth_at(std::size_t row, std::size_t target) const { return truth[row * targets.size() + target]; }
  float predicted_at(std::size_t row, std::size_t label) const { return predicted[row * labels.size() + label]; }
  /// Classification by one column of class names, rather than by a column of shares a class.
  bool has_class_numbers() const { return task == models::Task::kClassification && targets.size() == 1; }
  /// Classification: the true class, or the one with the largest share.
  std::size_t true_class(std::size_t row) const;
  /// Classification: the one with the largest probability, the first of equals.
  std::size_t predicted_class(std::size_t row) const;
};

/// Reads a file that write_out_of_fold made with these labels; nullopt if there is none. InputError where it is
/// damaged.
std::optional<HeldOut> read_held_out(const std::filesystem::path& file, models::Task task,
                                     const std::vector<std::string>& labels);

}  // namespace meshfold::jobs
