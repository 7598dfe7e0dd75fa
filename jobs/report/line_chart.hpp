#pragma once

#include <string>
#include <utility>
#include <vector>

namespace meshfold::jobs {

/// One line of a chart. Points whose y is not finite are left out.
struct ChartSeries {
  std::string name;
  int colour = 0;                                 ///< class c0 ... c7 of the page's style sheet
  std::vector<std::pair<double, double>> points;  ///< ascending x
  bool marked = false;                            ///< a visible dot at each point
  bool faint = false;  ///< thin and pale, without tooltips: the raw curve behind a smoothed one
};

struct LineChart {
  std::string x_label, y_label;
  std::vector<ChartSeries> series;
  bool y_from_zero = false;
  std::vector<std::pair<std::string, double>> levels;  ///< dashed horizontal lines with a name
};

/// The chart as one inline <svg> that takes its width from the page; each point of a line that is not faint has a
/// tooltip. A chart without points says so.
std::string render_svg(const LineChart& chart);

}  // namespace meshfold::jobs
