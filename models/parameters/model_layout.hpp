#pragma once

#include <vector>

#include "models/parameters/layout_map.hpp"

namespace meshfold::dist {
class ProcessGroup;
}

namespace meshfold::models {

/// Which part of a model this rank holds and computes.
struct ModelLayout {
  std::vector<LayoutRule> rules = {};  ///< empty: the architecture's own
  int tensor_rank = 0, tensor_ranks = 1;
  /// The ranks of the tensor axis; outlives the model. Null: there is one rank, or the model is only looked at.
  dist::ProcessGroup* tensor = nullptr;
  int pipeline_rank = 0, pipeline_ranks = 1;
  std::vector<int> stage_layers = {};  ///< layers of each pipeline stage; empty: balanced by cost
  /// Where its parameters are. kMeta: nowhere; they have shapes, places and views, but no memory and no values.
  at::Device device = at::kCPU;
};

}  // namespace meshfold::models
