#pragma once

#include <string>

#include "models/losses/loss.hpp"

namespace meshfold::models {

// One maker a family of losses; make_loss chooses between them.

/// mse, mae, smooth-L1 and rmse_elementwise: a function of each error, averaged.
std::unique_ptr<Loss> make_elementwise_loss(const LossConfig& config, std::int64_t num_outputs);
/// rmse and mcrmse.
std::unique_ptr<Loss> make_root_mean_square_loss(const LossConfig& config, std::int64_t num_outputs);
std::unique_ptr<Loss> make_cross_entropy_loss(const LossConfig& config, std::int64_t num_outputs);
std::unique_ptr<Loss> make_binary_cross_entropy_loss(const LossConfig& config, std::int64_t num_outputs);

/// Throws invalid_argument with `problem` unless `holds`.
void check_loss(bool holds, const std::string& problem);

/// `weights` as an fp32 row [num_outputs]; ones if there are none. Throws invalid_argument if their number is another,
/// one is negative or not finite, or all are zero.
at::Tensor weight_row(const std::vector<double>& weights, std::int64_t num_outputs, const std::string& name);

}  // namespace meshfold::models
