#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/folds.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// The columns of a submission file: the id, then one column a label, in the order that is asked for.
struct SubmissionFormat {
  std::vector<std::string> header;
  std::vector<std::int64_t> outputs;  ///< the model output that column 1 + i shows
};

/// id column, then the labels in label order.
SubmissionFormat default_submission_format(const std::string& id_column, std::span<const std::string> labels);

/// The format of a sample submission. Its header must be the id column and every label once, in any order; its ids must
/// be those of the test table in the same order. InputError names the column, or the first row that differs.
SubmissionFormat read_submission_format(const std::filesystem::path& sample, const std::string& id_column,
                                        std::span<const std::string> labels, std::span<const std::string> test_ids);

/// `values` [test rows, C] in label order. Durable and atomic; StorageError.
void write_submission(const std::filesystem::path& file, const SubmissionFormat& format,
                      std::span<const std::string> ids, const at::Tensor& values);

/// oof.csv: id, fold, target columns (class numbers [N, 1]: `target_names` has one name and the cells are class names),
/// pred_<label> columns; input order.
void write_out_of_fold(const std::filesystem::path& file, const std::string& id_column,
                       std::span<const std::string> ids, const data::FoldAssignment& folds,
                       const models::HeadConfig& head, std::span<const std::string> target_names,
                       const at::Tensor& targets, const at::Tensor& values);

}  // namespace meshfold::jobs
