#include "jobs/reference/pipeline_clock.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

namespace meshfold::jobs {
namespace {

/// When each cell was done, by phase, pack and part of the model.
class PipelineClock {
 public:
  explicit PipelineClock(const PipelineSchedule& schedule)
      : stages_(schedule.num_stages), parts_(schedule.num_stages * schedule.num_chunks) {}

  /// From when on the cell can run; nothing while something that it needs is not done.
  std::optional<double> ready(int stage, const PipelineCell& cell) const {
    const int part = cell.chunk * stages_ + stage;
    std::vector<std::optional<double>> needs;
    if (cell.phase == PipelinePhase::kForward && part > 0)
      needs.push_back(end(PipelinePhase::kForward, cell.pack, part - 1));
    if (cell.phase == PipelinePhase::kBackward) needs.push_back(end(PipelinePhase::kForward, cell.pack, part));
    if (cell.phase == PipelinePhase::kBackward && part < parts_ - 1) {
      needs.push_back(end(PipelinePhase::kBackward, cell.pack, part + 1));
    }
    if (cell.phase == PipelinePhase::kWeight) needs.push_back(end(PipelinePhase::kBackward, cell.pack, part));
    double time = 0;
    for (const auto& need : needs) {
      if (!need) return std::nullopt;
      time = std::max(time, *need);
    }
    return time;
  }
  void finish(int stage, const PipelineCell& cell, double time) {
    if (!ends_.emplace(std::tuple(cell.phase, cell.pack, cell.chunk * stages_ + stage), time).second) {
      throw std::logic_error("a pipeline schedule has a cell twice: pack " + std::to_string(cell.pack) + " on stage " +
                             std::to_string(stage));
    }
  }

 private:
  std::optional<double> end(PipelinePhase phase, int pack, int part) const {
    const auto found = ends_.find({phase, pack, part});
    return found == ends_.end() ? std::nullopt : std::optional(found->second);
  }

  int stages_, parts_;
  std::map<std::tuple<PipelinePhase, int, int>, double> ends_;
};

double cost_of(const PipelineCell& cell, const CellCosts& costs, int num_chunks) {
  const double whole = cell.phase == PipelinePhase::kForward    ? costs.forward
                       : cell.phase == PipelinePhase::kBackward ? costs.backward
                                                                : costs.weight;
  return whole / num_chunks;
}

int most_held(const PipelineRow& row) {
  const bool has_weights =
      std::ranges::any_of(row, [](const PipelineCell& cell) { return cell.phase == PipelinePhase::kWeight; });
  const PipelinePhase last = has_weights ? PipelinePhase::kWeight : PipelinePhase::kBackward;
  int held = 0, most = 0;
  for (const PipelineCell& cell : row) {
    held += cell.phase == PipelinePhase::kForward ? 1 : cell.phase == last ? -1 : 0;
    most = std::max(most, held);
  }
  return most;
}

}  // namespace

Timeline run_on_clock(const PipelineSchedule& schedule, const CellCosts& costs) {
  PipelineClock clock(schedule);
  Timeline timeline;
  const auto stages = static_cast<std::size_t>(schedule.num_stages);
  std::vector<double> now(stages, 0.0), busy(stages, 0.0);
  std::vector<std::size_t> next(stages, 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t stage = 0; stage < stages; ++stage) {
      const PipelineRow& row = schedule.cells[stage];
      while (next[stage] < row.size()) {
        const PipelineCell& cell = row[next[stage]];
        const std::optional<double> ready = clock.ready(static_cast<int>(stage), cell);
        if (!ready) break;
        const double cost = cost_of(cell, costs, schedule.num_chunks);
        now[stage] = std::max(now[stage], *ready) + cost;
        busy[stage] += cost;
        clock.finish(static_cast<int>(stage), cell, now[stage]);
        ++next[stage];
        moved = true;
      }
    }
  }
  for (std::size_t stage = 0; stage < stages; ++stage) {
    if (next[stage] < schedule.cells[stage].size()) {
      throw std::logic_error("a pipeline schedule cannot go on: stage " + std::to_string(stage) + " waits at cell " +
                             std::to_string(next[stage]));
    }
    timeline.length = std::max(timeline.length, now[stage]);
    timeline.most_held.push_back(most_held(schedule.cells[stage]));
  }
  for (const double time : busy) timeline.idle.push_back(timeline.length - time);
  return timeline;
}

double idle_by_formula(int num_stages, int num_chunks, const CellCosts& costs) {
  return (num_stages - 1.0) * (costs.forward + costs.backward - costs.weight) / num_chunks;
}

}  // namespace meshfold::jobs
