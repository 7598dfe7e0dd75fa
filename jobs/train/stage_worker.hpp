#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

#include "data/dataset.hpp"
#include "data/pack.hpp"
#include "jobs/train/pipeline_runner.hpp"
#include "models/gradients/gradient_accumulator.hpp"
#include "models/networks/model.hpp"
#include "models/networks/pipeline_stage.hpp"

namespace meshfold::jobs {

/// The dataset's rows that make one pack.
using PackRows = std::span<const std::uint32_t>;

/// Takes the packs of a data rank through this rank's stage of a model; a model that is no pipeline stage is its only
/// stage. Cells name packs by their place in `packs`. An empty pack is neither computed nor sent.
class StageWorker final : public PipelineWorker {
 public:
  /// What a pack gives on the last stage: outputs [samples, C] fp32.
  using TakeOutputs = std::function<void(int pack, const data::PackedBatch&, const at::Tensor& outputs)>;
  using Loss = std::function<at::Tensor(int pack, const data::PackedBatch&, const at::Tensor& outputs)>;

  /// `context` has the mode and the draws. `gradients` is needed for kTraining: it gets each pack between begin_pack()
  /// and end_pack(), empty ones too, and `last_pack` says whether the last of `packs` is the step's last too. All
  /// references outlive this object.
  StageWorker(models::Model& model, const data::Dataset& dataset, std::vector<PackRows> packs,
              const models::ForwardContext& context, models::GradientAccumulator* gradients = nullptr,
              models::PackPlace last_pack = models::PackPlace::kLast);

  void on_outputs(TakeOutputs take) { take_outputs_ = std::move(take); }
  /// What backward begins from: a scalar with the graph of the outputs.
  void set_loss(Loss loss) { loss_ = std::move(loss); }
  bool is_last() const { return stage_ == nullptr || stage_->is_last(); }

  std::vector<at::Tensor> buffers(const PipelineCell& cell) override;
  std::vector<at::Tensor> forward(const PipelineCell& cell, const std::vector<at::Tensor>& received) override;
  std::vector<at::Tensor> backward(const PipelineCell& cell, const std::vector<at::Tensor>& received) override;

 private:
  /// A pack between its forward and its backward.
  struct Held {
    data::PackedBatch batch;
    models::PackedInput input;
    models::PackShape shape;  ///< with which stages agree on what travels
    std::vector<at::Tensor> received, results;
  };
  Held& held(int pack);
  bool is_empty(int pack) const { return packs_[static_cast<std::size_t>(pack)].empty(); }
  bool trains() const { return context_.mode == models::Mode::kTraining; }

  models::Model& model_;
  models::PipelineStage* stage_;
  const data::Dataset& dataset_;
  std::vector<PackRows> packs_;
  models::ForwardContext context_;
  models::GradientAccumulator* gradients_;
  models::PackPlace last_pack_;
  TakeOutputs take_outputs_;
  Loss loss_;
  std::map<int, Held> held_;
};

}  // namespace meshfold::jobs
