#include "jobs/report/scatter_chart.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "jobs/report/chart_frame.hpp"
#include "jobs/report/html.hpp"

namespace meshfold::jobs {
namespace {

constexpr std::size_t kMaxDots = 1500;  // beyond it they cover each other
constexpr double kCell = 6;             // units of the view box
constexpr std::size_t kShades = 6;

void draw_dots(ChartFrame& frame, const ScatterChart& chart) {
  std::string path = "<path class=\"cloud\" d=\"";
  for (const auto& [x, y] : chart.points) {
    path += "M" + coordinate(frame.at_x(x)) + " " + coordinate(frame.at_y(y)) + "h0";
  }
  frame.add(path + "\"/>");
}

/// Shades by the logarithm of the count, so that a thin tail stays visible beside the bulk.
void draw_density(ChartFrame& frame, const ScatterChart& chart) {
  const auto columns = static_cast<std::size_t>((frame.right() - frame.left()) / kCell) + 1;
  const auto rows = static_cast<std::size_t>((frame.bottom() - frame.top()) / kCell) + 1;
  std::vector<std::size_t> counts(columns * rows);
  for (const auto& [x, y] : chart.points) {
    const auto column = static_cast<std::size_t>(std::max(0.0, frame.at_x(x) - frame.left()) / kCell);
    const auto row = static_cast<std::size_t>(std::max(0.0, frame.at_y(y) - frame.top()) / kCell);
    ++counts[std::min(row, rows - 1) * columns + std::min(column, columns - 1)];
  }
  const double most = std::log1p(static_cast<double>(*std::ranges::max_element(counts)));
  std::array<std::string, kShades> paths;
  for (std::size_t cell = 0; cell < counts.size(); ++cell) {
    if (counts[cell] == 0) continue;
    const double share = std::log1p(static_cast<double>(counts[cell])) / most;
    const auto shade = std::min(kShades - 1, static_cast<std::size_t>(share * kShades));
    const double x = std::min(frame.left() + static_cast<double>(cell % columns) * kCell, frame.right() - kCell);
    const double y = std::min(frame.top() + static_cast<double>(cell / columns) * kCell, frame.bottom() - kCell);
    paths.at(shade) += "M" + std::to_string(std::lround(x)) + " " + std::to_string(std::lround(y)) + "h6v6h-6z";
  }
  for (std::size_t shade = 0; shade < kShades; ++shade) {
    if (paths.at(shade).empty()) continue;
    const auto opacity = fixed_number((static_cast<double>(shade) + 1) / (kShades + 1), 2);
    frame.add("<path class=\"cell\" fill-opacity=\"" + opacity + "\" d=\"" + paths.at(shade) + "\"/>");
  }
}

void draw_means(ChartFrame& frame, const ScatterChart& chart) {
  std::string line = "<polyline class=\"line c1\" points=\"", dots;
  for (std::size_t i = 0; i < chart.means.size(); ++i) {
    const auto x = coordinate(frame.at_x(chart.means[i].first)), y = coordinate(frame.at_y(chart.means[i].second));
    line += x + "," + y + " ";
    dots += "<circle class=\"dot c1\" cx=\"" + x + "\" cy=\"" + y + "\" r=\"5\"><title>" +
            html_escaped(chart.x_label + " " + short_number(chart.means[i].first) + ": " + chart.y_label + " " +
                         short_number(chart.means[i].second) + " (" + std::to_string(chart.counts[i]) + ")") +
            "</title></circle>";
  }
  frame.add(line + "\"/>" + dots);
}

}  // namespace

std::string render_svg(const ScatterChart& chart) {
  Span span = chart.shares ? Span{0, 1} : Span{};
  for (const auto& [x, y] : chart.points) {
    span.take(x);
    span.take(y);
  }
  for (const auto& [x, y] : chart.means) {
    span.take(x);
    span.take(y);
  }
  if (chart.points.empty() && chart.means.empty()) return "<p class=\"empty\">no points yet</p>";
  ChartFrame frame(chart.y_label + " against " + chart.x_label, chart.x_label, span, span);
  if (chart.points.size() > kMaxDots) {
    draw_density(frame, chart);
  } else if (!chart.points.empty()) {
    draw_dots(frame, chart);
  }
  frame.add_dashed(span.low, span.low, span.high, span.high);
  if (!chart.means.empty()) draw_means(frame, chart);
  return frame.svg();
}

std::string render_svg(const Histogram& histogram) {
  if (histogram.counts.empty()) return "<p class=\"empty\">no points yet</p>";
  const auto most = *std::ranges::max_element(histogram.counts);
  const double high = histogram.low + histogram.width * static_cast<double>(histogram.counts.size());
  ChartFrame frame(histogram.y_label + " by " + histogram.x_label, histogram.x_label, {histogram.low, high},
                   {0.0, static_cast<double>(std::max<std::size_t>(most, 1))});
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    const double from = histogram.low + histogram.width * static_cast<double>(i);
    const double x = frame.at_x(from), y = frame.at_y(static_cast<double>(histogram.counts[i]));
    frame.add("<rect class=\"bar\" x=\"" + coordinate(x + 1) + "\" y=\"" + coordinate(y) + "\" width=\"" +
              coordinate(std::max(1.0, frame.at_x(from + histogram.width) - x - 2)) + "\" height=\"" +
              coordinate(frame.bottom() - y) + "\"><title>" + short_number(from) + " to " +
              short_number(from + histogram.width) + ": " + std::to_string(histogram.counts[i]) + "</title></rect>");
  }
  return frame.svg();
}

}  // namespace meshfold::jobs
