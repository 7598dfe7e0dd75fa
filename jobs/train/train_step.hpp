#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "data/dataset.hpp"
#include "dist/mesh.hpp"
#include "jobs/train/gradient_exchange.hpp"
#include "jobs/train/optimizer.hpp"
#include "jobs/train/pipeline_schedule.hpp"
#include "jobs/train/stage_worker.hpp"
#include "jobs/train/step_agreement.hpp"
#include "jobs/train/train_settings.hpp"
#include "models/gradients/flat_gradient.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

/// What all steps of a training run have in common.
struct StepSettings {
  std::string job;  ///< names the job in messages
  int parts = 1;    ///< packs per step, a multiple of the data ranks
  std::uint32_t seed = 42;
  models::LossConfig loss;
  models::Summation summation = models::Summation::kInOrder;
  PipelineOrder pipeline_order = PipelineOrder::kOneForwardOneBackward;
  double max_grad_norm = 1.0;  ///< 0: no clipping
};

StepSettings step_settings(std::string job, const TrainSettings& settings, int parts);

/// How the ranks' gradients become new weights.
struct StepUpdate {
  GradientExchange& exchange;
  Optimizer& optimizer;
};

/// One way of a step's packs forward and back.
struct StepPass {
  std::uint8_t number = 0;  ///< keys the draws (base/philox.hpp)
  /// What becomes of the gradients at the end. kLast: they are complete, and their exchange may begin within the last
  /// pack. kInside: they are kept, and the next pass adds its own.
  models::PackPlace last_pack = models::PackPlace::kLast;
};

/// What a rank brings to a step besides the plan.
struct StepRequest {
  bool stop = false;           ///< this rank was asked to stop
  std::exception_ptr failure;  ///< something failed on this rank since the last step; the ranks fail together now
};

struct StepResult {
  double loss = 0, grad_norm = 0;
  std::int64_t tokens = 0;  ///< of the whole step, over all ranks
  bool stop = false;        ///< any rank was asked to stop
};

/// One optimizer step on the mesh: plan, passes, apply. The plan cuts the step's samples into packs, of which a data
/// rank takes a contiguous run. A pass takes them through the stages of its pipeline, forward and back, and leaves
/// gradients. Once these are summed over the ranks, and all ranks agree that nothing has failed, they are clipped and
/// applied.
///
/// A step-coupled loss first sums its statistics over all packs: a rank with several packs rehearses them (forward with
/// the same dropout masks, no graph), a rank with one pack keeps its outputs and their graph.
class TrainStep {
 public:
  /// All references outlive this object.
  TrainStep(StepSettings settings, models::Model& model, const dist::Mesh& mesh, const data::Dataset& dataset,
            StepUpdate update);

  /// Every rank calls it with the same rows, step and learning rate, and gets the same result. `step` counts from 0 and
  /// keys the dropout masks. Throws BadNumbersError on every rank if the loss or the gradient norm is not finite (the
  /// weights are then untouched); what one rank throws meanwhile ends the step on all (dist::PeerFailed on the others).
  StepResult run(std::span<const std::uint32_t> rows, std::int64_t step, double learning_rate,
                 const StepRequest& request);

 private:
  struct Plan;

  Plan make_plan(std::span<const std::uint32_t> rows, std::int64_t step) const;
  void take(const StepPass& pass, const Plan& plan, StepAgreement& agreement, std::span<double> losses);
  std::vector<double> sum_statistics(const StepPass& pass, const Plan& plan, StageWorker& training,
                                     StepAgreement& agreement);
  void measure_packs(StageWorker& worker, const std::exception_ptr& failure, std::span<double> statistics);
  void compute_packs(StageWorker& training, const models::StepTotals& totals, const std::exception_ptr& failure,
                     std::span<double> losses);
  models::FlatGradient exchange_gradients(const StepAgreement& agreement);
  void apply(const models::FlatGradient& gradient, double norm, double learning_rate);
  [[noreturn]] void refuse(std::int64_t step, const std::string& fault) const;

  StageWorker worker(const StepPass& pass, const Plan& plan, models::Mode mode);
  /// This rank's packs: [first_pack(), first_pack() + packs_per_rank()).
  int packs_per_rank() const { return settings_.parts / mesh_.data().size(); }
  int first_pack() const { return mesh_.data().rank() * packs_per_rank(); }
  /// Whether this rank reports what its packs gave: one of a pipeline's last stage; other tensor ranks have computed
  /// the same.
  bool is_reporter() const {
    return mesh_.tensor().rank() == 0 && mesh_.pipeline().rank() == mesh_.pipeline().size() - 1;
  }
  /// Whether packs go forward for the loss's statistics alone. A rank with one pack keeps its graph instead.
  bool rehearses() const { return packs_per_rank() > 1; }
  PipelineSchedule only(PipelinePhase phase) const {
    return one_phase(phase, mesh_.pipeline().size(), packs_per_rank());
  }

  StepSettings settings_;
  models::Model& model_;
  const dist::Mesh& mesh_;
  const data::Dataset& dataset_;
  StepUpdate update_;
  PipelineSchedule schedule_;  ///< of this rank's packs
  std::unique_ptr<models::Loss> loss_;
  models::GradientAccumulator gradients_;
};

}  // namespace meshfold::jobs
