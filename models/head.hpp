#pragma once

#include <memory>

#include "models/pooler.hpp"

namespace meshfold::models {

/// Pooling, dropout (head site 0), classifier: from hidden states to one row of outputs a sample. Always computes in
/// fp32. Parameters: the pooler's, then `classifier`.
class Head {
 public:
  /// Throws invalid_argument for a head without labels.
  Head(const HeadConfig& config, const Backbone& backbone);

  void declare(ParameterDeclaration& declare) const;
  void bind(const ParameterStore& store);
  std::int64_t first_state() const { return pooler_->first_state(); }
  const HeadConfig& config() const { return config_; }
  /// [S, labels] fp32.
  at::Tensor outputs(const HiddenStates& hidden, const PackedInput& input, const ForwardContext& context) const;

 private:
  HeadConfig config_;
  double dropout_;
  std::unique_ptr<Pooler> pooler_;
  LinearParameters classifier_;
};

}  // namespace meshfold::models
