#include "models/directory/model_outline.hpp"

#include <algorithm>
#include <utility>

#include "models/directory/architecture.hpp"
#include "models/directory/directory_head.hpp"
#include "models/directory/load_model.hpp"
#include "models/error.hpp"
#include "models/files/config_json.hpp"
#include "models/networks/sequence_model.hpp"

namespace meshfold::models {
namespace {

HeadConfig choose_head(const ConfigJson& config, const LoadOptions& options, const std::optional<HeadConfig>& own) {
  if (options.head) return *options.head;
  if (own) return *own;
  config.fail("describes a backbone without a head, so it cannot predict; train one first or name the targets");
}

/// The head's layers must be the backbone's.
void check_layers(const ConfigJson& config, const HeadConfig& head, std::int64_t num_layers) {
  if (head.pooling == Pooling::kWeightedLayers && head.first_state > num_layers) {
    config.fail("has " + std::to_string(num_layers) + " layers, but the weighted sum begins with hidden state " +
                std::to_string(head.first_state) + "; set model.pooling_first_layer to one of 0 to " +
                std::to_string(num_layers));
  }
  if (head.pooling == Pooling::kConcatCls && head.num_layers > num_layers + 1) {
    config.fail("has " + std::to_string(num_layers) + " layers, so " + std::to_string(num_layers + 1) +
                " hidden states, but model.pooling_layers = " + std::to_string(head.num_layers));
  }
}

void check_frozen_and_new_layers(const ConfigJson& config, const LoadOptions& options, std::int64_t num_layers) {
  const std::int64_t frozen = options.rates.freeze_lower_layers, fresh = options.reinit_layers;
  if (frozen + fresh <= num_layers) return;
  config.fail("has " + std::to_string(num_layers) + " layers, but freeze.lower_layers = " + std::to_string(frozen) +
              " and model.reinit_layers = " + std::to_string(fresh) + " together are more; lower them");
}

}  // namespace

ModelOutline::ModelOutline(const std::filesystem::path& directory, const LoadOptions& options)
    : options_(options),
      config_(std::make_unique<const ConfigJson>(directory)),
      architecture_(architecture_of(*config_)),
      head_on_disk_(read_head(*config_, architecture_)),
      head_(choose_head(*config_, options, head_on_disk_)),
      backbone_(architecture_.make_backbone(*config_, options.dropout)) {
  const std::int64_t num_layers = backbone_->shape().num_layers;
  check_layers(*config_, head_, num_layers);
  check_frozen_and_new_layers(*config_, options, num_layers);
}

ModelOutline::~ModelOutline() = default;

std::unique_ptr<Model> ModelOutline::make(const ModelLayout& layout) const {
  return make_sequence_model(architecture_.make_backbone(*config_, options_.dropout), head_, options_.compute_type,
                             layout, options_.recompute, options_.rates);
}

LayoutFindings ModelOutline::inspect_layout(const ModelLayout& layout) const {
  ModelLayout whole;
  whole.device = at::kMeta;
  const std::unique_ptr<Model> model = make(whole);
  LayoutFindings found = LayoutMap(backbone_->layout(), layout.rules)
                             .inspect(std::as_const(*model).declaration(), layout.tensor_rank, layout.tensor_ranks);
  if (!found.faults.empty()) return found;
  ModelLayout part = layout;
  part.device = at::kMeta;
  for (part.pipeline_rank = 0; part.pipeline_rank < part.pipeline_ranks; ++part.pipeline_rank) {
    try {
      make(part);
    } catch (const LayoutError& error) {
      if (std::ranges::find(found.faults, error.what()) == found.faults.end()) found.faults.emplace_back(error.what());
    }
  }
  return found;
}

}  // namespace meshfold::models
