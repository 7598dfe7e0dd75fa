#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// What a model's outputs mean to a person, [n, C] fp32: regression values as they are, logits as probabilities
/// (classification: softmax over the classes; multi-label: sigmoid of each).
at::Tensor to_values(const models::HeadConfig& head, const at::Tensor& outputs);

/// Values of a regression limited to [minimum, maximum]; anything else is returned as it is.
at::Tensor clip_values(const models::HeadConfig& head, const at::Tensor& values, std::optional<double> minimum,
                       std::optional<double> maximum);

/// Rows of cells as CSV text (RFC 4180), built up in memory.
class CsvText {
 public:
  explicit CsvText(std::span<const std::string> header);
  void add(std::string_view text);
  void add(float number);  ///< shortest decimal that reads back as the same float
  void add(std::int64_t number);
  void end_row();
  const std::string& text() const { return text_; }

 private:
  void separate();
  std::string text_;
  bool at_row_start_ = true;
};

/// `file`: id_column, then pred_<label> in label order; one row an id. Durable and atomic; StorageError.
void write_predictions(const std::filesystem::path& file, const std::string& id_column,
                       std::span<const std::string> ids, std::span<const std::string> labels, const at::Tensor& values);

}  // namespace meshfold::jobs
