#pragma once

#include <memory>

#include "models/backbone.hpp"
#include "models/model.hpp"

namespace meshfold::models {

/// A backbone and the head that `head` asks for, with one store for both: the backbone's parameters first. They are
/// allocated here, but hold no values yet.
std::unique_ptr<Model> make_sequence_model(std::unique_ptr<Backbone> backbone, const HeadConfig& head,
                                           at::ScalarType compute_type);

}  // namespace meshfold::models
