#pragma once

#include <cstdint>

#include "models/context/gradient_sink.hpp"

namespace meshfold::dist {
class ProcessGroup;
}

namespace meshfold::models {

enum class Mode {
  kTraining,    ///< dropout and graph
  kRehearsal,   ///< the outputs of kTraining to the last bit, dropout included, but no graph
  kEvaluation,  ///< neither
};

/// What decides the draws of one forward pass, besides the input's rows.
struct DrawContext {
  std::uint32_t seed = 0;
  std::uint32_t step = 0;  ///< global optimizer step, from 0
  std::uint8_t pass = 0;
};

/// Only kTraining hands weight gradients to `gradients`; in the other modes it may be null.
struct ForwardContext {
  Mode mode = Mode::kEvaluation;
  DrawContext draws;
  GradientSink* gradients = nullptr;
  dist::ProcessGroup* tensor = nullptr;  ///< the model's tensor axis; the model sets it for its blocks
};

}  // namespace meshfold::models
