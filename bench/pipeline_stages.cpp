// The idle time of real stages beside the formula: a model's layers are cut over the ranks, one stage each, and packs
// of a dataset pass them forward and back as in training, without the exchange of gradients and the update that follow.
// On rank 0, a line a stage: seconds of a pack's forward and backward, and the share of the time in which it waits.
//   mpirun -n 2 pipeline_stages_bench MODEL DATASET.h5 PACKS SAMPLES_A_PACK STEPS [1f1b|gpipe]
// MODEL: a Hugging Face directory. DATASET: what `meshfold tokenize` has written with its tokenizer.

#include <ATen/Parallel.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <nlohmann/json.hpp>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "dist/environment.hpp"
#include "dist/mesh.hpp"
#include "jobs/process_memory.hpp"
#include "jobs/train/pack_input.hpp"
#include "jobs/train/stage_worker.hpp"
#include "models/directory/load_model.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/model.hpp"

namespace {

using namespace meshfold;
using Clock = std::chrono::steady_clock;
using Tensors = std::vector<at::Tensor>;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// Passes everything on to the stage and adds up how long it computes.
class TimedStage final : public jobs::PipelineWorker {
 public:
  explicit TimedStage(jobs::PipelineWorker& stage) : stage_(stage) {}

  Tensors buffers(const jobs::PipelineCell& cell) override { return stage_.buffers(cell); }
  Tensors forward(const jobs::PipelineCell& cell, const Tensors& received) override {
    return timed(forward_s, [&] { return stage_.forward(cell, received); });
  }
  Tensors backward(const jobs::PipelineCell& cell, const Tensors& received) override {
    return timed(backward_s, [&] { return stage_.backward(cell, received); });
  }

  double forward_s = 0, backward_s = 0;

 private:
  template <typename Compute>
  Tensors timed(double& sum, Compute compute) {
    const auto start = Clock::now();
    Tensors result = compute();
    sum += seconds_since(start);
    return result;
  }

  jobs::PipelineWorker& stage_;
};

struct Settings {
  std::string model, dataset;
  int packs, samples, steps;
  jobs::PipelineOrder schedule = jobs::PipelineOrder::kOneForwardOneBackward;
};

Settings read_settings(int argc, char** argv) {
  if (argc < 6)
    throw std::invalid_argument("usage: pipeline_stages_bench MODEL DATASET.h5 PACKS SAMPLES STEPS [1f1b|gpipe]");
  Settings settings{argv[1], argv[2], std::atoi(argv[3]), std::atoi(argv[4]), std::atoi(argv[5])};
  if (argc > 6 && std::string(argv[6]) == "gpipe") settings.schedule = jobs::PipelineOrder::kGpipe;
  return settings;
}

/// Seconds of one rank over all steps.
struct StageTimes {
  double forward_s = 0, backward_s = 0, length_s = 0;
};

class Bench {
 public:
  Bench(const Settings& settings, const dist::Mesh& mesh)
      : settings_(settings),
        mesh_(mesh),
        dataset_(data::Dataset::open(settings.dataset)),
        model_(load(settings, mesh, dataset_)),
        loss_(models::make_loss({}, dataset_.num_targets())),
        gradients_(model_->parameters(), models::Summation::kInOrder),
        rows_(static_cast<std::size_t>(settings.packs * settings.samples)) {
    if (rows_.size() > dataset_.num_samples())
      throw std::invalid_argument("the dataset has too few rows for the packs");
    std::iota(rows_.begin(), rows_.end(), 0U);
  }

  /// The first step warms up.
  StageTimes run() {
    step(0);
    StageTimes times;
    for (int i = 1; i <= settings_.steps; ++i) {
      const StageTimes of_step = step(i);
      times.forward_s += of_step.forward_s;
      times.backward_s += of_step.backward_s;
      times.length_s += of_step.length_s;
    }
    return times;
  }

 private:
  static std::unique_ptr<models::Model> load(const Settings& settings, const dist::Mesh& mesh,
                                             const data::Dataset& dataset) {
    models::LoadOptions options;
    options.head.emplace();
    for (std::uint32_t i = 0; i < dataset.num_targets(); ++i)
      options.head->labels.push_back("target" + std::to_string(i));
    options.layout.pipeline_rank = mesh.coordinates().pipeline;
    options.layout.pipeline_ranks = mesh.shape().pipeline;
    return models::load_model(settings.model, options).model;
  }

  StageTimes step(int number) {
    models::StepTotals totals{loss_->denominator(jobs::targets_of(dataset_, rows_)), {}};
    models::ForwardContext context;
    context.mode = models::Mode::kTraining;
    context.draws = {42, static_cast<std::uint32_t>(number), 0};
    std::vector<jobs::PackRows> packs;
    const auto size = static_cast<std::size_t>(settings_.samples);
    for (std::size_t p = 0; p < static_cast<std::size_t>(settings_.packs); ++p) {
      packs.push_back(jobs::PackRows(rows_).subspan(p * size, size));
    }
    jobs::StageWorker stage(*model_, dataset_, std::move(packs), context, &gradients_);
    stage.set_loss([&](int, const data::PackedBatch& batch, const at::Tensor& outputs) {
      return (*loss_)(outputs, jobs::to_targets(batch, outputs.device()), totals);
    });
    const auto schedule = jobs::make_pipeline_schedule(settings_.schedule, mesh_.pipeline().size(), settings_.packs);
    gradients_.begin_step();
    TimedStage timed(stage);
    mesh_.all().barrier();
    const auto start = Clock::now();
    jobs::run_pipeline(schedule, mesh_.pipeline(), timed);
    const at::Tensor length = at::zeros({1}, at::kDouble);
    length.fill_(seconds_since(start));
    mesh_.all().all_reduce(length, dist::ReduceOp::kMax)->wait();
    return {timed.forward_s, timed.backward_s, length.item<double>()};
  }

  Settings settings_;
  const dist::Mesh& mesh_;
  data::Dataset dataset_;
  std::unique_ptr<models::Model> model_;
  std::unique_ptr<models::Loss> loss_;
  models::GradientAccumulator gradients_;
  std::vector<std::uint32_t> rows_;
};

void print(const Settings& settings, const std::vector<nlohmann::json>& stages) {
  const int num_stages = static_cast<int>(stages.size());
  const double cells = static_cast<double>(settings.packs) * settings.steps;
  double most_busy = 0, busy = 0, length = 0;
  for (int stage = 0; stage < num_stages; ++stage) {
    const double forward = stages[static_cast<std::size_t>(stage)][0],
                 backward = stages[static_cast<std::size_t>(stage)][1];
    length = stages[static_cast<std::size_t>(stage)][2];
    most_busy = std::max(most_busy, forward + backward);
    busy += forward + backward;
    std::printf("stage %d: forward %.2f ms, backward %.2f ms a pack; waits %.1f %% of the time\n", stage,
                1e3 * forward / cells, 1e3 * backward / cells, 100 * (1 - (forward + backward) / length));
  }
  const double formula = (num_stages - 1.0) / (settings.packs + num_stages - 1.0);
  std::printf(
      "%d stages, %d packs: the busiest stage waits %.1f %% of the time, by the formula %.1f %%; all together %.1f "
      "%%\n",
      num_stages, settings.packs, 100 * (1 - most_busy / length), 100 * formula,
      100 * (1 - busy / num_stages / length));
}

}  // namespace

int main(int argc, char** argv) {
  jobs::keep_freed_memory();
  dist::Environment mpi(argc, argv, std::chrono::minutes(2));
  try {
    const Settings settings = read_settings(argc, argv);
    at::set_num_threads(1);
    const dist::Mesh mesh(mpi.world(), {1, mpi.size(), 1}, "bench");
    const StageTimes own = Bench(settings, mesh).run();
    std::vector<nlohmann::json> stages;
    for (const auto& text :
         mesh.all().all_gather_bytes(nlohmann::json{own.forward_s, own.backward_s, own.length_s}.dump())) {
      stages.push_back(nlohmann::json::parse(text));
    }
    if (mpi.rank() == 0) print(settings, stages);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "pipeline_stages_bench: %s\n", error.what());
    dist::Environment::abort(1);
  }
  return 0;
}
