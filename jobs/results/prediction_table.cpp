#include "jobs/results/prediction_table.hpp"

#include <ATen/ATen.h>

#include <cassert>
#include <charconv>
#include <stdexcept>

#include "base/durable_file.hpp"
#include "data/csv_table.hpp"

namespace meshfold::jobs {

at::Tensor to_values(const models::HeadConfig& head, const at::Tensor& outputs) {
  switch (head.task) {
    case models::Task::kRegression:
      return outputs;
    case models::Task::kClassification:
      return outputs.to(at::kDouble).softmax(-1).to(at::kFloat);
    case models::Task::kMultiLabel:
      return outputs.to(at::kDouble).sigmoid().to(at::kFloat);
  }
  throw std::invalid_argument("a head has an unknown task");
}

at::Tensor clip_values(const models::HeadConfig& head, const at::Tensor& values, std::optional<double> minimum,
                       std::optional<double> maximum) {
  if (head.task != models::Task::kRegression || (!minimum && !maximum)) return values;
  std::optional<at::Scalar> low, high;
  if (minimum) low = *minimum;
  if (maximum) high = *maximum;
  return values.clamp(low, high);
}

CsvText::CsvText(std::span<const std::string> header) {
  for (const auto& name : header) add(name);
  end_row();
}

void CsvText::add(std::string_view text) {
  separate();
  text_ += data::csv_field(text);
}

void CsvText::add(float number) {
  separate();
  char buffer[32];
  const auto end = std::to_chars(buffer, buffer + sizeof buffer, number).ptr;
  text_.append(buffer, end);
}

void CsvText::add(std::int64_t number) {
  separate();
  text_ += std::to_string(number);
}

void CsvText::end_row() {
  text_ += '\n';
  at_row_start_ = true;
}

void CsvText::separate() {
  if (!at_row_start_) text_ += ',';
  at_row_start_ = false;
}

void write_predictions(const std::filesystem::path& file, const std::string& id_column,
                       std::span<const std::string> ids, std::span<const std::string> labels,
                       const at::Tensor& values) {
  assert(values.size(0) == static_cast<std::int64_t>(ids.size()));
  std::vector<std::string> header{id_column};
  for (const auto& label : labels) header.push_back("pred_" + label);
  CsvText csv(header);
  const auto dense = values.contiguous();
  const auto cells = dense.accessor<float, 2>();
  for (std::size_t row = 0; row < ids.size(); ++row) {
    csv.add(ids[row]);
    for (std::int64_t c = 0; c < dense.size(1); ++c) csv.add(cells[static_cast<std::int64_t>(row)][c]);
    csv.end_row();
  }
  base::replace_file(file, csv.text());
}

}  // namespace meshfold::jobs
