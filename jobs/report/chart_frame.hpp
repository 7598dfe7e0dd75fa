#pragma once

#include <limits>
#include <string>

namespace meshfold::jobs {

/// The values that an axis must show.
struct Span {
  double low = std::numeric_limits<double>::infinity(), high = -std::numeric_limits<double>::infinity();
  void take(double value) {
    low = value < low ? value : low;
    high = value > high ? value : high;
  }
  bool empty() const { return low > high; }
};

/// Two axes with their ticks, around what a chart draws: one inline <svg> that takes its width from the page. The
/// vertical span is widened to whole ticks, the horizontal one is kept.
class ChartFrame {
 public:
  /// `description` is read out to people who do not see the picture. The spans are not empty.
  ChartFrame(std::string description, const std::string& x_label, Span x, Span y);

  /// Pixel positions of values.
  double at_x(double x) const;
  double at_y(double y) const;
  double left() const;
  double right() const;
  double top() const;
  double bottom() const;

  void add(const std::string& markup) { out_ += markup; }
  /// `anchor`: start, middle or end.
  void add_text(double x, double y, const char* anchor, const std::string& text);
  /// A dashed horizontal line with its name and value.
  void add_level(const std::string& name, double value);
  /// A dashed line between two points, in values.
  void add_dashed(double x1, double y1, double x2, double y2);
  std::string svg() const { return out_ + "</svg>"; }

 private:
  void draw_axes(const std::string& x_label);
  Span x_, y_;
  double y_step_ = 1;
  std::string out_;
};

/// One decimal: a tenth of a pixel is as fine as a screen shows.
std::string coordinate(double value);

}  // namespace meshfold::jobs
