#include "jobs/report/prediction_sections.hpp"

#include <algorithm>
#include <cmath>
#include <memory>
#include <numeric>

#include "data/error.hpp"
#include "data/table.hpp"
#include "jobs/report/diagnostics.hpp"
#include "jobs/report/html.hpp"
#include "jobs/report/scatter_chart.hpp"

namespace meshfold::jobs {
namespace {

using models::Task;

constexpr std::size_t kMaxCharts = 12;         // targets with a chart of their own
constexpr std::size_t kMaxMatrixClasses = 12;  // more do not fit a page
constexpr std::size_t kMaxConfusions = 20;
constexpr std::size_t kWorstRows = 20;
constexpr std::size_t kTextCharacters = 400;
constexpr std::size_t kBins = 10;

/// The blank does not break.
std::string percent(double share) { return fixed_number(100 * share, 1) + "\u00a0%"; }

/// Blanks run together and the text cut between characters.
std::string excerpt(const std::string& text) {
  std::string result;
  std::size_t characters = 0;
  bool after_blank = true;
  for (const char c : text) {
    const bool blank = c == ' ' || (c >= '\t' && c <= '\r');
    const bool starts_character = (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    if (blank && after_blank) continue;
    if (starts_character && ++characters > kTextCharacters) return result + " …";
    result += blank ? ' ' : c;
    after_blank = blank;
  }
  return result;
}

std::string scatter_section(const HeldOut& held_out, std::size_t target) {
  ScatterChart chart{"predicted", "true", {}, {}, {}, false};
  for (std::size_t row = 0; row < held_out.size(); ++row) {
    chart.points.emplace_back(held_out.predicted_at(row, target), held_out.truth_at(row, target));
  }
  for (const auto& bin : calibration_by_rank(held_out, target, kBins)) {
    chart.means.emplace_back(bin.predicted, bin.truth);
    chart.counts.push_back(bin.count);
  }
  // Said once: the charts are alike.
  const auto note = target > 0 ? std::string()
                               : html_note(
                                     "Line: mean truth of ten equal parts of the samples in the order of their "
                                     "predictions; dashed: perfect.");
  return html_section(held_out.labels[target] + ": true against predicted", render_svg(chart) + note);
}

std::string scatter_sections(const HeldOut& held_out) {
  std::vector<std::string> sections;
  const std::size_t shown = std::min(held_out.labels.size(), kMaxCharts);
  for (std::size_t target = 0; target < shown; ++target) sections.push_back(scatter_section(held_out, target));
  if (shown == held_out.labels.size()) return html_grid(sections);
  return html_grid(sections) +
         html_section("More targets", html_note("Only the first " + std::to_string(shown) + " of " +
                                                std::to_string(held_out.labels.size()) +
                                                " targets have a chart; oof.csv has the predictions of all."));
}

/// Counts, shaded by their share of the row: the true class.
std::string matrix_table(const std::vector<std::string>& labels, const std::vector<std::uint64_t>& counts) {
  const std::size_t classes = labels.size();
  std::string html =
      "<div class=\"scroll\"><table class=\"matrix\"><thead><tr><th scope=\"col\">true \\ predicted</th>";
  for (const auto& label : labels) html += "<th scope=\"col\">" + html_escaped(label) + "</th>";
  html += "<th scope=\"col\">recall</th></tr></thead><tbody>";
  for (std::size_t truth = 0; truth < classes; ++truth) {
    const auto row = counts.begin() + static_cast<std::ptrdiff_t>(truth * classes);
    const auto total = std::accumulate(row, row + static_cast<std::ptrdiff_t>(classes), std::uint64_t{0});
    html += "<tr><th scope=\"row\">" + html_escaped(labels[truth]) + "</th>";
    const auto share_of = [&](std::size_t predicted) {
      const auto count = counts[truth * classes + predicted];
      return total > 0 ? static_cast<double>(count) / static_cast<double>(total) : std::nan("");
    };
    for (std::size_t predicted = 0; predicted < classes; ++predicted) {
      const double share = total > 0 ? share_of(predicted) : 0.0;
      // 45 %: text on the darkest cell keeps a contrast of 5 in light and dark.
      html += "<td style=\"--share:" + fixed_number(45 * share, 0) + "%\" title=\"" + percent(share) + " of " +
              html_escaped(labels[truth]) + "\">" + std::to_string(counts[truth * classes + predicted]) + "</td>";
    }
    html += "<td>" + (total > 0 ? percent(share_of(truth)) : std::string("none")) + "</td></tr>";
  }
  return html + "</tbody></table></div>";
}

/// What is taken for what most often.
std::string confusion_list(const std::vector<std::string>& labels, const std::vector<std::uint64_t>& counts) {
  const std::size_t classes = labels.size();
  std::vector<std::size_t> cells;
  for (std::size_t cell = 0; cell < counts.size(); ++cell) {
    if (cell / classes != cell % classes && counts[cell] > 0) cells.push_back(cell);
  }
  std::ranges::stable_sort(cells, std::greater<>(), [&](std::size_t cell) { return counts[cell]; });
  cells.resize(std::min(cells.size(), kMaxConfusions));
  std::vector<std::vector<std::string>> rows;
  for (const std::size_t cell : cells) {
    rows.push_back({labels[cell / classes], labels[cell % classes], std::to_string(counts[cell])});
  }
  return html_table({"true", "predicted", "samples"}, rows);
}

std::string reliability_section(const HeldOut& held_out) {
  const auto bins = reliability(held_out, kBins);
  ScatterChart chart{"probability", "share that is true", {}, {}, {}, true};
  if (held_out.task == Task::kClassification && held_out.labels.size() > 2) chart.y_label = "share that is right";
  for (const auto& bin : bins) {
    chart.means.emplace_back(bin.predicted, bin.truth);
    chart.counts.push_back(bin.count);
  }
  const std::string of = held_out.task == Task::kMultiLabel ? "of every label"
                         : held_out.labels.size() == 2      ? "of " + held_out.labels[1]
                                                            : "of the predicted class";
  return html_section("Reliability", render_svg(chart) + html_note("Probability " + of +
                                                                   " against how often it is true, in bins of 0.1; "
                                                                   "expected calibration error " +
                                                                   fixed_number(calibration_error(bins), 4) + "."));
}

/// At the threshold 0.5.
std::string label_table(const HeldOut& held_out) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t label = 0; label < held_out.labels.size(); ++label) {
    double truths = 0, found = 0, hits = 0;
    for (std::size_t row = 0; row < held_out.size(); ++row) {
      const bool truth = held_out.truth_at(row, label) > 0.5F, said = held_out.predicted_at(row, label) > 0.5F;
      truths += truth ? 1 : 0;
      found += said ? 1 : 0;
      hits += truth && said ? 1 : 0;
    }
    rows.push_back({held_out.labels[label], fixed_number(truths, 0), fixed_number(found, 0),
                    found > 0 ? percent(hits / found) : "none", truths > 0 ? percent(hits / truths) : "none"});
  }
  return html_section("Labels at probability 0.5",
                      html_table({"label", "true", "predicted", "precision", "recall"}, rows));
}

std::string class_sections(const HeldOut& held_out) {
  const auto counts = confusion_matrix(held_out);
  const bool fits = held_out.labels.size() <= kMaxMatrixClasses;
  const auto confusions =
      html_section(fits ? "Confusions" : "Most frequent confusions",
                   fits ? matrix_table(held_out.labels, counts) : confusion_list(held_out.labels, counts));
  return html_grid({confusions, reliability_section(held_out)});
}

/// The training table's texts by row; says why when it cannot be read any more.
class Texts {
 public:
  explicit Texts(const RunRecord& run) {
    try {
      table_ = data::open_table(run.train_table);
      id_ = table_->column(run.id_column);
      for (const auto& name : run.text_columns) columns_.push_back(table_->column(name));
    } catch (const data::InputError& error) {
      columns_.clear();
      fault_ = error.what();
    }
  }
  /// Text of the row with this id at or, when validation.csv has only some rows, after `at_least`.
  std::string of(const std::string& id, std::size_t at_least) const {
    if (columns_.empty()) return {};
    for (std::size_t row = at_least; row < table_->num_rows(); ++row) {
      if (table_->cell(row, id_) != id) continue;
      std::string text;
      for (const auto column : columns_) text += (text.empty() ? "" : " ¶ ") + excerpt(table_->read(row, column).text);
      return text;
    }
    return {};
  }
  const std::string& fault() const { return fault_; }

 private:
  std::unique_ptr<const data::Table> table_;
  std::size_t id_ = 0;
  std::vector<std::size_t> columns_;
  std::string fault_;
};

/// "sd: true 0.4, predicted 1.9" of the target that is furthest off, or the classes.
std::string verdict(const HeldOut& held_out, std::span<const double> units, std::size_t row) {
  if (held_out.task == Task::kClassification) {
    const auto truth = held_out.true_class(row), predicted = held_out.predicted_class(row);
    return "true " + held_out.labels[truth] + " (" + percent(held_out.predicted_at(row, truth)) + "), predicted " +
           held_out.labels[predicted] + " (" + percent(held_out.predicted_at(row, predicted)) + ")";
  }
  std::size_t worst = 0;
  const auto distance = [&](std::size_t label) {
    const double unit = units.empty() ? 1.0 : units[label];
    return std::abs(held_out.truth_at(row, label) - held_out.predicted_at(row, label)) / unit;
  };
  for (std::size_t label = 1; label < held_out.labels.size(); ++label) {
    if (distance(label) > distance(worst)) worst = label;
  }
  return held_out.labels[worst] + ": true " + short_number(held_out.truth_at(row, worst)) + ", predicted " +
         short_number(held_out.predicted_at(row, worst));
}

std::string worst_section(const RunRecord& run) {
  const auto& held_out = *run.held_out;
  const auto errors = row_errors(held_out);
  const auto units = held_out.task == Task::kRegression ? target_units(held_out) : std::vector<double>();
  const Texts texts(run);
  std::string html = "<ol class=\"worst\">";
  for (const std::size_t row : worst_rows(errors, kWorstRows)) {
    html += "<li><div><b>" + html_escaped(held_out.ids[row]) + "</b><span>fold " + std::to_string(held_out.folds[row]) +
            "</span><span>error " + fixed_number(errors[row], 2) + "</span><span>" +
            html_escaped(verdict(held_out, units, row)) + "</span></div><p>" +
            html_escaped(texts.of(held_out.ids[row], row)) + "</p></li>";
  }
  html += "</ol>";
  const char* const unit = held_out.task == Task::kRegression
                               ? "Error: root mean square over the targets, in units of each target's standard "
                                 "deviation; the target that is furthest off is shown."
                               : "Error: negative logarithm of the probability of the truth.";
  html += html_note(unit + (texts.fault().empty() ? std::string() : " Without texts: " + texts.fault()));
  return html_section("Furthest off", html);
}

}  // namespace

std::string prediction_sections(const RunRecord& run) {
  if (!run.held_out || run.held_out->size() == 0) return {};
  const auto& held_out = *run.held_out;
  std::string html;
  switch (held_out.task) {
    case Task::kRegression:
      html = scatter_sections(held_out);
      break;
    case Task::kClassification:
      html = class_sections(held_out);
      break;
    case Task::kMultiLabel:
      html = html_grid({label_table(held_out), reliability_section(held_out)});
      break;
  }
  return html + worst_section(run);
}

}  // namespace meshfold::jobs
