#pragma once

#include <cstdint>
#include <vector>

#include "base/philox.hpp"
#include "models/context/forward_context.hpp"
#include "models/context/packed_input.hpp"

namespace meshfold::models::ops {

/// Which draws a dropout uses; probability 0 or evaluation mode: none.
struct DropoutSite {
  double probability = 0.0;
  std::uint16_t site = 0;
  std::int64_t first_head = 0;  ///< attention: the number, in the whole model, of the first head of the call
};

/// The draws of one dropout on one pack: multipliers (0 or 1 / keep probability) made on the spot, in forward and again
/// in backward; no mask is stored. A multiplier depends on (seed, step, pass, site, Philox row, place), never on the
/// packing.
class Dropout {
 public:
  /// Inactive in evaluation mode and when the probability rounds to 0.
  Dropout(base::DrawPurpose purpose, const DropoutSite& site, const ForwardContext& context);

  bool active() const { return threshold_.threshold != 0; }
  std::int64_t first_head() const { return first_head_; }
  /// Multipliers of the rows first .. first + count - 1 (third counter word) of input `philox_row`: out [count,
  /// padded_width(width)].
  void fill(std::uint32_t philox_row, std::uint32_t first, std::int64_t count, std::int64_t width, float* out) const;
  /// The same multipliers on a device: fp32 [..., width] of `philox_rows` and `places` (third counter word), int64
  /// tensors whose shapes broadcast to [...].
  at::Tensor multipliers(const at::Tensor& philox_rows, const at::Tensor& places, std::int64_t width) const;

  /// Multiples of eight: one Philox call gives eight draws.
  static std::int64_t padded_width(std::int64_t width) { return (width + 7) / 8 * 8; }

 private:
  base::PhiloxKey key_;
  std::uint32_t step_;
  std::int64_t first_head_;
  base::DropoutThreshold threshold_;
};

/// Hidden or head dropout over the rows of one matrix: row t belongs to input row `philox_rows[t]` at `positions[t]`.
class RowDropout {
 public:
  /// Over this rank's rows of the tokens of `input` (hidden dropout).
  static RowDropout over_tokens(const DropoutSite& site, const PackedInput& input, const ForwardContext& context);
  /// Over one pooled row an input (head dropout), position 0.
  static RowDropout over_inputs(const DropoutSite& site, const PackedInput& input, const ForwardContext& context);
  /// Over rows of a parameter that belong to no input (hidden dropout): the philox row that no sample has, position =
  /// the row in its table, first .. first + count - 1.
  static RowDropout over_slots(const DropoutSite& site, std::int64_t first, std::int64_t count,
                               const ForwardContext& context);

  bool active() const { return dropout_.active(); }
  /// out [padded_width(width)].
  void fill_row(std::int64_t row, std::int64_t width, float* out) const {
    dropout_.fill(philox_rows_[row], positions_[row], 1, width, out);
  }
  /// Multipliers of all rows, fp32 [rows, width] on `device`.
  at::Tensor multipliers(std::int64_t width, at::Device device) const;

 private:
  RowDropout(Dropout dropout) : dropout_(dropout) {}

  Dropout dropout_;
  std::vector<std::uint32_t> philox_rows_, positions_;
};

/// x [rows, width] with its row's multipliers, in the type of x.
at::Tensor multiply_rows(const at::Tensor& x, const RowDropout& dropout);

/// The philox row of draws that belong to no sample.
inline constexpr std::uint32_t kParameterPhiloxRow = 0xFFFFFFFFu;

namespace kernels {

/// What the kernels below compute, call by call: counter (step, philox_row, first + i / groups, i % groups) for i <
/// count * groups.
struct DropoutDraws {
  base::PhiloxKey key;
  std::uint32_t step, philox_row, first;
  std::int64_t count, groups;
  base::DropoutThreshold threshold;
};
void fill_multipliers_portable(const DropoutDraws& draws, float* out);
void fill_multipliers_avx2(const DropoutDraws& draws, float* out);    ///< Only where base::has_avx2().
void fill_multipliers_avx512(const DropoutDraws& draws, float* out);  ///< Only where base::has_avx512().

}  // namespace kernels
}  // namespace meshfold::models::ops
