#include "jobs/train/pipeline_schedule.hpp"

#include <algorithm>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>

namespace meshfold::jobs {
namespace {

using Row = std::vector<PipelineCell>;

Row one_phase(PipelinePhase phase, int num_packs) {
  Row row;
  for (int pack = 0; pack < num_packs; ++pack) row.push_back({phase, pack, 0});
  return row;
}

/// `ahead` forwards, then a forward and a backward in turn, then the backwards that are left.
Row in_turn(const Row& forwards, const Row& backwards, int ahead) {
  const auto warm_up = static_cast<std::size_t>(std::min<int>(ahead, static_cast<int>(forwards.size())));
  Row row(forwards.begin(), forwards.begin() + static_cast<std::ptrdiff_t>(warm_up));
  std::size_t next = 0;
  for (std::size_t i = warm_up; i < forwards.size(); ++i) {
    row.push_back(forwards[i]);
    row.push_back(backwards[next++]);
  }
  row.insert(row.end(), backwards.begin() + static_cast<std::ptrdiff_t>(next), backwards.end());
  return row;
}

/// Packs go through all chunks in groups of as many packs as there are stages.
Row in_groups(PipelinePhase phase, int num_stages, int num_packs, int num_chunks) {
  Row row;
  for (int k = 0; k < num_packs * num_chunks; ++k) {
    const int group = k / (num_stages * num_chunks), place = k % (num_stages * num_chunks);
    const int chunk = place / num_stages;
    row.push_back({phase, group * num_stages + place % num_stages,
                   phase == PipelinePhase::kForward ? chunk : num_chunks - 1 - chunk});
  }
  return row;
}

/// Stage s puts off s weight gradients, and does the rest as soon as it can.
Row zero_bubble_row(int stage, int num_stages, int num_packs) {
  Row row;
  int backwards = 0, weights = 0;
  for (const PipelineCell& cell : in_turn(one_phase(PipelinePhase::kForward, num_packs),
                                          one_phase(PipelinePhase::kBackward, num_packs), num_stages - 1 - stage)) {
    row.push_back(cell);
    if (cell.phase == PipelinePhase::kBackward && ++backwards - weights > stage)
      row.push_back({PipelinePhase::kWeight, weights++, 0});
  }
  while (weights < num_packs) row.push_back({PipelinePhase::kWeight, weights++, 0});
  return row;
}

Row make_row(PipelineOrder name, int stage, const PipelineSchedule& schedule) {
  const int stages = schedule.num_stages, packs = schedule.num_packs, chunks = schedule.num_chunks;
  const Row forwards = one_phase(PipelinePhase::kForward, packs),
            backwards = one_phase(PipelinePhase::kBackward, packs);
  switch (name) {
    case PipelineOrder::kGpipe:
      return in_turn(forwards, backwards, packs);
    case PipelineOrder::kOneForwardOneBackward:
      return in_turn(forwards, backwards, stages - 1 - stage);
    case PipelineOrder::kInterleaved:
      return in_turn(in_groups(PipelinePhase::kForward, stages, packs, chunks),
                     in_groups(PipelinePhase::kBackward, stages, packs, chunks),
                     (stages - 1 - stage) * 2 + (chunks - 1) * stages);
    case PipelineOrder::kZeroBubble:
      return zero_bubble_row(stage, stages, packs);
  }
  throw std::invalid_argument("a pipeline schedule of an unknown name");
}

/// When each cell was done, by phase, pack and part of the model.
class Clock {
 public:
  explicit Clock(const PipelineSchedule& schedule)
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

int most_held(const Row& row) {
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

PipelineSchedule make_pipeline_schedule(PipelineOrder name, int num_stages, int num_packs, int num_chunks) {
  if (num_stages < 1 || num_packs < 1 || num_chunks < 1) {
    throw std::invalid_argument("a pipeline schedule needs at least one stage, pack and chunk");
  }
  if (name != PipelineOrder::kInterleaved && num_chunks > 1) {
    throw std::invalid_argument("only the interleaved pipeline schedule has several chunks a stage");
  }
  if (name == PipelineOrder::kInterleaved && num_packs % num_stages != 0) {
    throw std::invalid_argument("the interleaved pipeline schedule needs a multiple of " + std::to_string(num_stages) +
                                " packs, not " + std::to_string(num_packs));
  }
  PipelineSchedule schedule{num_stages, num_packs, num_chunks, {}};
  for (int stage = 0; stage < num_stages; ++stage) schedule.cells.push_back(make_row(name, stage, schedule));
  return schedule;
}

Timeline run_on_clock(const PipelineSchedule& schedule, const CellCosts& costs) {
  Clock clock(schedule);
  Timeline timeline;
  const auto stages = static_cast<std::size_t>(schedule.num_stages);
  std::vector<double> now(stages, 0.0), busy(stages, 0.0);
  std::vector<std::size_t> next(stages, 0);
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t stage = 0; stage < stages; ++stage) {
      const Row& row = schedule.cells[stage];
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

double idle_by_formula(PipelineOrder name, int num_stages, int num_chunks, const CellCosts& costs) {
  const double others = num_stages - 1;
  switch (name) {
    case PipelineOrder::kGpipe:
    case PipelineOrder::kOneForwardOneBackward:
      return others * (costs.forward + costs.backward);
    case PipelineOrder::kInterleaved:
      return others * (costs.forward + costs.backward) / num_chunks;
    case PipelineOrder::kZeroBubble:
      return others * (costs.forward + costs.backward - costs.weight);
  }
  return 0.0;
}

}  // namespace meshfold::jobs
