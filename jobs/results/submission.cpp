#include "jobs/results/submission.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/durable_file.hpp"
#include "base/text.hpp"
#include "data/error.hpp"
#include "data/nearest_name.hpp"
#include "data/table.hpp"
#include "jobs/results/prediction_table.hpp"

namespace meshfold::jobs {
namespace {

std::vector<std::int64_t> match_labels(const std::string& file, std::span<const std::string> columns,
                                       std::span<const std::string> labels) {
  std::vector<std::int64_t> outputs;
  for (const auto& column : columns) {
    const auto found = std::ranges::find(labels, column);
    if (found == labels.end()) {
      const auto nearest = data::nearest_name(column, labels);
      throw data::InputError({file, {}, 1, column}, "the model has no such output (it has " + base::joined(labels) +
                                                        ")" + (nearest ? "; did you mean '" + *nearest + "'?" : ""));
    }
    outputs.push_back(found - labels.begin());
  }
  for (const auto& label : labels) {
    if (std::ranges::find(columns, label) == columns.end()) {
      throw data::InputError({file, {}, 1, label},
                             "the sample submission lacks this column; add it, or leave the target out");
    }
  }
  return outputs;
}

void check_ids(const data::Table& sample, std::span<const std::string> test_ids) {
  const auto file = sample.file().string();
  const auto common = std::min(sample.num_rows(), test_ids.size());
  for (std::size_t row = 0; row < common; ++row) {
    const auto id = sample.cell(row, 0);
    if (id == test_ids[row]) continue;
    throw data::InputError({file, row + 1, sample.line_of(row), sample.columns()[0]},
                           "id '" + id + "' where the test table has '" + test_ids[row] +
                               "'; the sample submission must list the test ids in their order");
  }
  if (sample.num_rows() > common) {
    throw data::InputError(
        {file, common + 1, sample.line_of(common), sample.columns()[0]},
        "id '" + sample.cell(common, 0) + "' is beyond the " + std::to_string(common) + " rows of the test table");
  }
  if (test_ids.size() > common) {
    throw data::InputError({file, {}, {}, sample.columns()[0]}, "ends after " + std::to_string(common) +
                                                                    " rows, but the test table goes on with id '" +
                                                                    test_ids[common] + "'");
  }
}

}  // namespace

SubmissionFormat default_submission_format(const std::string& id_column, std::span<const std::string> labels) {
  SubmissionFormat format;
  format.header.push_back(id_column);
  format.header.insert(format.header.end(), labels.begin(), labels.end());
  format.outputs.resize(labels.size());
  std::iota(format.outputs.begin(), format.outputs.end(), std::int64_t{0});
  return format;
}

SubmissionFormat read_submission_format(const std::filesystem::path& sample, const std::string& id_column,
                                        std::span<const std::string> labels, std::span<const std::string> test_ids) {
  const auto table = data::open_table(sample);
  SubmissionFormat format;
  format.header = table->columns();
  if (format.header.front() != id_column) {
    throw data::InputError(
        {sample.string(), {}, 1, format.header.front()},
        "the first column of the sample submission must be the id column '" + id_column + "' (data.id)");
  }
  format.outputs = match_labels(sample.string(), std::span(format.header).subspan(1), labels);
  check_ids(*table, test_ids);
  return format;
}

void write_submission(const std::filesystem::path& file, const SubmissionFormat& format,
                      std::span<const std::string> ids, const at::Tensor& values) {
  CsvText csv(format.header);
  const auto dense = values.contiguous();
  const auto cells = dense.accessor<float, 2>();
  for (std::size_t row = 0; row < ids.size(); ++row) {
    csv.add(ids[row]);
    for (const auto output : format.outputs) csv.add(cells[static_cast<std::int64_t>(row)][output]);
    csv.end_row();
  }
  base::replace_file(file, csv.text());
}

void write_out_of_fold(const std::filesystem::path& file, const std::string& id_column,
                       std::span<const std::string> ids, const data::FoldAssignment& folds,
                       const models::HeadConfig& head, std::span<const std::string> target_names,
                       const at::Tensor& targets, const at::Tensor& values) {
  std::vector<std::string> header{id_column, "fold"};
  header.insert(header.end(), target_names.begin(), target_names.end());
  for (const auto& label : head.labels) header.push_back("pred_" + label);
  CsvText csv(header);
  const bool has_class_numbers = head.task == models::Task::kClassification && targets.size(1) == 1;
  const auto dense_targets = targets.contiguous();
  const auto dense_values = values.contiguous();
  const auto truth = dense_targets.accessor<float, 2>();
  const auto predicted = dense_values.accessor<float, 2>();
  for (std::int64_t row = 0; row < dense_values.size(0); ++row) {
    csv.add(ids[static_cast<std::size_t>(row)]);
    csv.add(std::int64_t{folds[static_cast<std::size_t>(row)]});
    for (std::int64_t c = 0; c < dense_targets.size(1); ++c) {
      if (has_class_numbers) {
        csv.add(head.labels[static_cast<std::size_t>(std::lround(truth[row][c]))]);
      } else {
        csv.add(truth[row][c]);
      }
    }
    for (std::int64_t c = 0; c < dense_values.size(1); ++c) csv.add(predicted[row][c]);
    csv.end_row();
  }
  base::replace_file(file, csv.text());
}

}  // namespace meshfold::jobs
