#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "models/parameter_store.hpp"

namespace meshfold::jobs {

struct AdamWConfig {
  double learning_rate = 5e-5;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0.01;  ///< decoupled; parameters with Decay::kNo are left out
};

/// AdamW (Loshchilov & Hutter 2019, as torch.optim.AdamW) over a store's flat storage, one fused pass.
class AdamW {
 public:
  AdamW(const models::ParameterStore& store, const AdamWConfig& config);
  /// One update with `gradient` [num_elements] times `gradient_scale` (clipping) at `learning_rate`. Does not refresh
  /// compute copies.
  void step(const at::Tensor& gradient, double gradient_scale, double learning_rate);

  const at::Tensor& first_moment() const { return first_moment_; }    ///< flat fp32
  const at::Tensor& second_moment() const { return second_moment_; }  ///< flat fp32
  std::int64_t num_updates() const { return num_updates_; }
  void set_num_updates(std::int64_t n) { num_updates_ = n; }  ///< after loading a checkpoint

 private:
  const models::ParameterStore& store_;
  AdamWConfig config_;
  /// Parts of one parameter, the unit of work of a thread.
  struct Chunk {
    std::int64_t begin, end;
    bool decays;
  };
  std::vector<Chunk> chunks_;
  at::Tensor first_moment_, second_moment_;
  std::int64_t num_updates_ = 0;
};

}  // namespace meshfold::jobs
