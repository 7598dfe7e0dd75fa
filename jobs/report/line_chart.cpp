#include "jobs/report/line_chart.hpp"

#include <cmath>

#include "jobs/report/chart_frame.hpp"
#include "jobs/report/html.hpp"

namespace meshfold::jobs {
namespace {

using Points = std::vector<std::pair<double, double>>;

constexpr std::size_t kMaxPoints = 240;  // more cannot be told apart on this width

Points drawable(const ChartSeries& series) {
  Points finite;
  for (const auto& point : series.points) {
    if (std::isfinite(point.first) && std::isfinite(point.second)) finite.push_back(point);
  }
  if (finite.size() <= kMaxPoints) return finite;
  Points kept;  // evenly, with the first and the last
  for (std::size_t i = 0; i < kMaxPoints; ++i) kept.push_back(finite[i * (finite.size() - 1) / (kMaxPoints - 1)]);
  return kept;
}

void draw_line(ChartFrame& frame, const ChartSeries& series, const Points& points) {
  if (points.size() < 2) return;
  std::string line =
      "<polyline class=\"line c" + std::to_string(series.colour % 8) + (series.faint ? " faint" : "") + "\" points=\"";
  for (const auto& [x, y] : points) line += coordinate(frame.at_x(x)) + "," + coordinate(frame.at_y(y)) + " ";
  frame.add(line + "\"/>");
}

void draw_points(ChartFrame& frame, const LineChart& chart, const ChartSeries& series, const Points& points) {
  if (series.faint) return;
  const std::string shape = series.marked || points.size() < 2 ? "dot" : "touch";
  for (const auto& [x, y] : points) {
    frame.add("<circle class=\"" + shape + " c" + std::to_string(series.colour % 8) + "\" cx=\"" +
              coordinate(frame.at_x(x)) + "\" cy=\"" + coordinate(frame.at_y(y)) + "\" r=\"5\"><title>" +
              html_escaped(series.name) + "\n" + html_escaped(chart.x_label) + " " + short_number(x) + ": " +
              short_number(y) + "</title></circle>");
  }
}

}  // namespace

std::string render_svg(const LineChart& chart) {
  std::vector<Points> points;
  Span x, y;
  for (const auto& series : chart.series) {
    points.push_back(drawable(series));
    for (const auto& point : points.back()) {
      x.take(point.first);
      y.take(point.second);
    }
  }
  if (x.empty()) return "<p class=\"empty\">no points yet</p>";
  for (const auto& level : chart.levels) {
    if (std::isfinite(level.second)) y.take(level.second);
  }
  if (chart.y_from_zero) y.take(0);
  ChartFrame frame(chart.y_label + " by " + chart.x_label, chart.x_label, x, y);
  for (const auto& [name, value] : chart.levels) {
    if (std::isfinite(value)) frame.add_level(name, value);
  }
  for (std::size_t i = 0; i < points.size(); ++i) draw_line(frame, chart.series[i], points[i]);
  for (std::size_t i = 0; i < points.size(); ++i) draw_points(frame, chart, chart.series[i], points[i]);
  return frame.svg();
}

}  // namespace meshfold::jobs
