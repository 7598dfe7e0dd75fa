#include "jobs/report/line_chart.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>

namespace meshfold::jobs {
namespace {

// In units of the view box; at a phone's 360 px one unit is 0.75 px, so 14 units of type stay readable.
constexpr double kWidth = 480, kHeight = 290;
constexpr double kLeft = 62, kRight = 468, kTop = 14, kBottom = 244;
constexpr std::size_t kMaxPoints = 240;  // more cannot be told apart on this width

struct Span {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

/// A step of 1, 2 or 5 times a power of ten that cuts `extent` into about `count` pieces.
double nice_step(double extent, int count) {
  const double raw = extent / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

std::string coordinate(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", value);
  return text;
}

std::vector<std::pair<double, double>> drawable(const ChartSeries& series) {
  std::vector<std::pair<double, double>> finite;
  for (const auto& point : series.points) {
    if (std::isfinite(point.first) && std::isfinite(point.second)) finite.push_back(point);
  }
  if (finite.size() <= kMaxPoints) return finite;
  std::vector<std::pair<double, double>> kept;  // evenly, with the first and the last
  for (std::size_t i = 0; i < kMaxPoints; ++i) kept.push_back(finite[i * (finite.size() - 1) / (kMaxPoints - 1)]);
  return kept;
}

class Drawing {
 public:
  explicit Drawing(const LineChart& chart) : chart_(chart) {
    for (const auto& series : chart.series) {
      points_.push_back(drawable(series));
      for (const auto& [x, y] : points_.back()) {
        x_.take(x);
        y_.take(y);
      }
    }
    for (const auto& level : chart.levels) {
      if (std::isfinite(level.second)) y_.take(level.second);
    }
  }

  std::string svg() {
    if (x_.empty()) return "<p class=\"empty\">no points yet</p>";
    settle_spans();
    out_ = "<svg viewBox=\"0 0 480 290\" role=\"img\" aria-label=\"" + html_escaped(chart_.y_label) + " by " +
           html_escaped(chart_.x_label) + "\">";
    draw_axes();
    for (const auto& [name, value] : chart_.levels) draw_level(name, value);
    for (std::size_t i = 0; i < points_.size(); ++i) draw_line(chart_.series[i], points_[i]);
    for (std::size_t i = 0; i < points_.size(); ++i) draw_points(chart_.series[i], points_[i]);
    return out_ + "</svg>";
  }

 private:
  void settle_spans() {
    if (chart_.y_from_zero) y_.take(0);
    if (y_.high <= y_.low) {
      const double room = std::max(std::abs(y_.low) * 0.1, 1e-9);
      y_ = {y_.low - room, y_.high + room};
    }
    if (x_.high <= x_.low) x_ = {x_.low - 1, x_.high + 1};
    y_step_ = nice_step(y_.high - y_.low, 5);
    y_.low = std::floor(y_.low / y_step_ + 1e-9) * y_step_;
    y_.high = std::ceil(y_.high / y_step_ - 1e-9) * y_step_;
  }

  double at_x(double x) const { return kLeft + (x - x_.low) / (x_.high - x_.low) * (kRight - kLeft); }
  double at_y(double y) const { return kBottom - (y - y_.low) / (y_.high - y_.low) * (kBottom - kTop); }

  void draw_axes() {
    for (int i = 0; y_.low + i * y_step_ <= y_.high + y_step_ * 1e-6; ++i) {
      const double value = std::abs(y_.low + i * y_step_) < y_step_ * 1e-6 ? 0.0 : y_.low + i * y_step_;
      const std::string y = coordinate(at_y(value));
      out_ += "<line class=\"grid\" x1=\"62\" x2=\"468\" y1=\"" + y + "\" y2=\"" + y + "\"/>";
      text(kLeft - 7, at_y(value) + 4.5, "end", short_number(value));
    }
    const double x_step = std::max(nice_step(x_.high - x_.low, 5), 1e-12);
    for (double value = std::ceil(x_.low / x_step - 1e-9) * x_step; value <= x_.high + x_step * 1e-6; value += x_step) {
      const std::string x = coordinate(at_x(value));
      out_ += "<line class=\"axis\" x1=\"" + x + "\" x2=\"" + x + "\" y1=\"244\" y2=\"249\"/>";
      text(at_x(value), kBottom + 20, "middle", short_number(std::abs(value) < x_step * 1e-6 ? 0.0 : value));
    }
    out_ += "<line class=\"axis\" x1=\"62\" x2=\"468\" y1=\"244\" y2=\"244\"/>";
    text((kLeft + kRight) / 2, kHeight - 6, "middle", chart_.x_label);
  }

  void draw_level(const std::string& name, double value) {
    if (!std::isfinite(value)) return;
    const std::string y = coordinate(at_y(value));
    out_ += "<line class=\"level\" x1=\"62\" x2=\"468\" y1=\"" + y + "\" y2=\"" + y + "\"/>";
    const bool at_the_top = at_y(value) < kTop + 18;
    text(kRight, at_y(value) + (at_the_top ? 16 : -5), "end", name + " " + short_number(value));
  }

  void draw_line(const ChartSeries& series, const std::vector<std::pair<double, double>>& points) {
    if (points.size() < 2) return;
    out_ += "<polyline class=\"line c" + std::to_string(series.colour % 8) + (series.faint ? " faint" : "") +
            "\" points=\"";
    for (const auto& [x, y] : points) out_ += coordinate(at_x(x)) + "," + coordinate(at_y(y)) + " ";
    out_ += "\"/>";
  }

  void draw_points(const ChartSeries& series, const std::vector<std::pair<double, double>>& points) {
    if (series.faint) return;
    const std::string shape = series.marked || points.size() < 2 ? "dot" : "touch";
    for (const auto& [x, y] : points) {
      out_ += "<circle class=\"" + shape + " c" + std::to_string(series.colour % 8) + "\" cx=\"" + coordinate(at_x(x)) +
              "\" cy=\"" + coordinate(at_y(y)) + "\" r=\"5\"><title>" + html_escaped(series.name) + "\n" +
              html_escaped(chart_.x_label) + " " + short_number(x) + ": " + short_number(y) + "</title></circle>";
    }
  }

  void text(double x, double y, const char* anchor, const std::string& content) {
    out_ += "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" text-anchor=\"" + anchor + "\">" +
            html_escaped(content) + "</text>";
  }

  const LineChart& chart_;
  std::vector<std::vector<std::pair<double, double>>> points_;
  Span x_, y_;
  double y_step_ = 1;
  std::string out_;
};

}  // namespace

std::string render_svg(const LineChart& chart) { return Drawing(chart).svg(); }

std::string html_escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string short_number(double value) {
  if (!std::isfinite(value)) return "n/a";
  char text[32];
  // Learning rates: 1.5e-04 fits the margin, 0.00015 does not.
  std::snprintf(text, sizeof text, value != 0 && std::abs(value) < 1e-3 ? "%.1e" : "%.5g", value);
  return text;
}

}  // namespace meshfold::jobs
