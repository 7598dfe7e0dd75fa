#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <string>

#include "data/dataset.hpp"
#include "data/pack.hpp"
#include "dist/mesh.hpp"
#include "jobs/train/gradient_exchange.hpp"
#include "jobs/train/optimizer.hpp"
#include "jobs/train/stage_worker.hpp"
#include "jobs/train/train_settings.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/losses/loss.hpp"
#include "models/networks/model.hpp"

namespace meshfold::jobs {

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

/// One optimizer step on the mesh: the step's samples are cut into packs, a data rank takes a contiguous run of them
/// through the stages of its pipeline, the gradients are summed, clipped and applied. A step-coupled loss first sums
/// its statistics over all packs: a rank with several packs rehearses them (forward with the same dropout masks, no
/// graph), a rank with one pack keeps its outputs and their graph. Every rank calls it with the same rows, step and
/// learning rate, and gets the same result.
class TrainStep {
 public:
  /// All arguments outlive this object. `job` names the job in messages.
  TrainStep(std::string job, const TrainSettings& settings, models::Model& model, const dist::Mesh& mesh,
            const data::Dataset& dataset, GradientExchange& exchange, Optimizer& optimizer, int parts);

  /// `step` counts from 0 and keys the dropout masks. Throws BadNumbersError on every rank if the loss or the gradient
  /// norm is not finite (the weights are then untouched); what one rank throws meanwhile ends the step on all
  /// (dist::PeerFailed on the others).
  StepResult run(std::span<const std::uint32_t> rows, std::int64_t step, double learning_rate,
                 const StepRequest& request);

 private:
  struct Plan;
  Plan plan(std::span<const std::uint32_t> rows) const;
  /// This rank's packs: [first_pack(), first_pack() + packs_per_rank()).
  int packs_per_rank() const { return parts_ / mesh_.data().size(); }
  int first_pack() const { return mesh_.data().rank() * packs_per_rank(); }
  /// Whether this rank tells what its packs gave: of a pipeline's last stage; other tensor ranks have computed the
  /// same.
  bool tells() const { return mesh_.tensor().rank() == 0 && mesh_.pipeline().rank() == mesh_.pipeline().size() - 1; }
  /// A rank with one pack keeps its graph while the statistics of the step are summed.
  bool rehearses() const { return packs_per_rank() > 1; }
  StageWorker worker(const Plan& plan, std::int64_t step, models::Mode mode);
  bool sum_statistics(Plan& plan, StageWorker& training, std::int64_t step, std::exception_ptr& failure);
  bool measure_packs(const Plan& plan, StageWorker& training, std::int64_t step, const std::exception_ptr& failure,
                     double* sums);
  void compute_packs(const Plan& plan, StageWorker& training, const std::exception_ptr& failure, double* losses);
  [[noreturn]] void throw_bad_numbers(std::int64_t step, const std::string& what) const;

  std::string job_;
  const TrainSettings& settings_;
  models::Model& model_;
  const dist::Mesh& mesh_;
  const data::Dataset& dataset_;
  GradientExchange& exchange_;
  Optimizer& optimizer_;
  int parts_;
  PipelineSchedule schedule_;  ///< of this rank's packs
  std::unique_ptr<models::Loss> loss_;
  models::GradientAccumulator gradients_;
};

}  // namespace meshfold::jobs
