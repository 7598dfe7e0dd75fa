#include "jobs/report/chart_frame.hpp"

#include <algorithm>
#include <cmath>

#include "base/text.hpp"
#include "jobs/report/html.hpp"

namespace meshfold::jobs {
namespace {

// In units of the view box; at a phone's 360 px one unit is 0.75 px, so 14 units of type stay readable.
constexpr double kHeight = 290;
constexpr double kLeft = 62, kRight = 468, kTop = 14, kBottom = 244;

/// A step of 1, 2 or 5 times a power of ten that cuts `extent` into about `count` pieces.
double nice_step(double extent, int count) {
  const double raw = extent / count;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (raw <= factor * power * 1.0001) return factor * power;
  }
  return 10 * power;
}

}  // namespace

ChartFrame::ChartFrame(std::string description, const std::string& x_label, Span x, Span y) : x_(x), y_(y) {
  if (y_.high <= y_.low) {
    const double room = std::max(std::abs(y_.low) * 0.1, 1e-9);
    y_ = {y_.low - room, y_.high + room};
  }
  if (x_.high <= x_.low) x_ = {x_.low - 1, x_.high + 1};
  y_step_ = nice_step(y_.high - y_.low, 5);
  y_.low = std::floor(y_.low / y_step_ + 1e-9) * y_step_;
  y_.high = std::ceil(y_.high / y_step_ - 1e-9) * y_step_;
  out_ = "<svg viewBox=\"0 0 480 290\" role=\"img\" aria-label=\"" + html_escaped(description) + "\">";
  draw_axes(x_label);
}

double ChartFrame::at_x(double x) const { return kLeft + (x - x_.low) / (x_.high - x_.low) * (kRight - kLeft); }
double ChartFrame::at_y(double y) const { return kBottom - (y - y_.low) / (y_.high - y_.low) * (kBottom - kTop); }
double ChartFrame::left() const { return kLeft; }
double ChartFrame::right() const { return kRight; }
double ChartFrame::top() const { return kTop; }
double ChartFrame::bottom() const { return kBottom; }

void ChartFrame::draw_axes(const std::string& x_label) {
  for (int i = 0; y_.low + i * y_step_ <= y_.high + y_step_ * 1e-6; ++i) {
    const double value = std::abs(y_.low + i * y_step_) < y_step_ * 1e-6 ? 0.0 : y_.low + i * y_step_;
    const std::string y = coordinate(at_y(value));
    out_ += "<line class=\"grid\" x1=\"62\" x2=\"468\" y1=\"" + y + "\" y2=\"" + y + "\"/>";
    add_text(kLeft - 7, at_y(value) + 4.5, "end", short_number(value));
  }
  const double x_step = std::max(nice_step(x_.high - x_.low, 5), 1e-12);
  for (double value = std::ceil(x_.low / x_step - 1e-9) * x_step; value <= x_.high + x_step * 1e-6; value += x_step) {
    const std::string x = coordinate(at_x(value));
    out_ += "<line class=\"axis\" x1=\"" + x + "\" x2=\"" + x + "\" y1=\"244\" y2=\"249\"/>";
    add_text(at_x(value), kBottom + 20, "middle", short_number(std::abs(value) < x_step * 1e-6 ? 0.0 : value));
  }
  out_ += "<line class=\"axis\" x1=\"62\" x2=\"468\" y1=\"244\" y2=\"244\"/>";
  add_text((kLeft + kRight) / 2, kHeight - 6, "middle", x_label);
}

void ChartFrame::add_text(double x, double y, const char* anchor, const std::string& text) {
  out_ += "<text x=\"" + coordinate(x) + "\" y=\"" + coordinate(y) + "\" text-anchor=\"" + anchor + "\">" +
          html_escaped(text) + "</text>";
}

void ChartFrame::add_level(const std::string& name, double value) {
  const std::string y = coordinate(at_y(value));
  out_ += "<line class=\"level\" x1=\"62\" x2=\"468\" y1=\"" + y + "\" y2=\"" + y + "\"/>";
  const bool at_the_top = at_y(value) < kTop + 18;
  add_text(kRight, at_y(value) + (at_the_top ? 16 : -5), "end", name + " " + short_number(value));
}

void ChartFrame::add_dashed(double x1, double y1, double x2, double y2) {
  out_ += "<line class=\"level\" x1=\"" + coordinate(at_x(x1)) + "\" y1=\"" + coordinate(at_y(y1)) + "\" x2=\"" +
          coordinate(at_x(x2)) + "\" y2=\"" + coordinate(at_y(y2)) + "\"/>";
}

std::string coordinate(double value) { return base::format("%.1f", value); }

}  // namespace meshfold::jobs
