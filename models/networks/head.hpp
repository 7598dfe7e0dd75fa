#pragma once

#include <memory>

#include "models/context/dropout.hpp"
#include "models/networks/pooler.hpp"

namespace meshfold::models {

/// From hidden states to one row of outputs a sample: pooling and dropout (sites in docs/numerics.md) of each text, the
/// vectors of a sample's texts and its standardised features side by side, classifier. Always computes in fp32.
/// Parameters: the pooler's, then `classifier`.
class Head {
 public:
  /// Throws invalid_argument for a head without labels or texts.
  Head(const HeadConfig& config, const Backbone& backbone);

  void declare(const ParameterDeclaration& declare) const;
  void bind(const ParameterStore& store);
  std::int64_t first_state() const { return pooler_->first_state(); }
  QueryRows rows_read() const { return rows_read_by(config_); }
  const HeadConfig& config() const { return config_; }
  /// [S / views, labels] fp32. A head that reads first tokens alone may be given these alone, of all states. Throws
  /// invalid_argument if the input has other views or features than the head.
  at::Tensor outputs(const HiddenStates& hidden, const PackedInput& input, const ForwardContext& context) const;
  /// As Pooler::costs(): what follows the pooler makes a few rows per text.
  ops::BlockCosts costs(const PackOnRank& pack) const { return pooler_->costs(pack); }

 private:
  /// [samples, views x width + features].
  at::Tensor side_by_side(const at::Tensor& pooled, const PackedInput& input) const;

  HeadConfig config_;
  std::vector<ops::DropoutSite> dropout_;  ///< one a dropout sample
  std::unique_ptr<Pooler> pooler_;
  Linear classifier_;
};

}  // namespace meshfold::models
