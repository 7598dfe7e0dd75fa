#pragma once

#include <string>
#include <utility>
#include <vector>

namespace meshfold::jobs {

/// Points against the diagonal on equal axes.
struct ScatterChart {
  std::string x_label, y_label;
  std::vector<std::pair<float, float>> points;  ///< finite
  /// A marked line over the points: means of bins, with the number of points of each.
  std::vector<std::pair<double, double>> means;
  std::vector<std::size_t> counts;
  bool shares = false;  ///< both axes reach from 0 to 1 at least
};

/// One inline <svg>. Up to 1,500 points are drawn singly, more as squares that are darker the more points they hold, so
/// that its size is bounded (about 30 kB) whatever their number. A chart without points says so.
std::string render_svg(const ScatterChart& chart);

/// The number of points in each of consecutive equal intervals.
struct Histogram {
  std::string x_label, y_label;
  double low = 0, width = 1;  ///< bar i counts [low + i width, low + (i + 1) width)
  std::vector<std::size_t> counts;
};
std::string render_svg(const Histogram& histogram);

}  // namespace meshfold::jobs
