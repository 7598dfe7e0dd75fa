#include "models/reference/reference.hpp"

#include <ATen/ATen.h>

#include "base/philox.hpp"
#include "models/context/dropout.hpp"

namespace meshfold::models::ops::reference {
namespace {

/// The draws of one row, one by one.
void draw_row(base::PhiloxKey key, std::uint32_t step, std::uint32_t philox_row, std::uint32_t place,
              base::DropoutThreshold threshold, std::int64_t width, float* out) {
  for (std::int64_t column = 0; column < width; ++column) {
    const auto words = base::philox4x32_10({step, philox_row, place, static_cast<std::uint32_t>(column / 8)}, key);
    out[column] = base::draw16(words, static_cast<int>(column % 8)) < threshold.threshold ? 0.0F : threshold.scale;
  }
}

at::Tensor apply(const at::Tensor& x, const at::Tensor& mask) {
  return mask.defined() ? x * mask.to(x.scalar_type()) : x;
}

at::Tensor plus(const at::Tensor& x, const at::Tensor& bias) { return bias.defined() ? x + bias : x; }

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& gamma, const at::Tensor& beta, double epsilon) {
  const at::Tensor centred = x - x.mean(-1, true);
  return plus(centred / (centred.square().mean(-1, true) + epsilon).sqrt() * gamma, beta);
}

}  // namespace

at::Tensor activate(const at::Tensor& z, Activation activation) {
  switch (activation) {
    case Activation::kNone:
      return z;
    case Activation::kGelu:
      return at::gelu(z);
    case Activation::kGeluTanh:
      return at::gelu(z, "tanh");
    case Activation::kTanh:
      return at::tanh(z);
    case Activation::kRelu:
      return at::relu(z);
  }
  return z;
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias, Activation activation) {
  return activate(plus(at::matmul(x, weight.t()), bias), activation);
}

at::Tensor add_norm(const at::Tensor& x, const at::Tensor& residual, const at::Tensor& gamma, const at::Tensor& beta,
                    double epsilon, const at::Tensor& mask) {
  return layer_norm(residual + apply(x, mask), gamma, beta, epsilon);
}

at::Tensor embed(const PackedInput& input, const at::Tensor& words, const at::Tensor& positions,
                 const at::Tensor& segments, const at::Tensor& gamma, const at::Tensor& beta, double epsilon,
                 const at::Tensor& mask) {
  const at::Tensor sum = words.index_select(0, input.token_ids) + positions.index_select(0, input.positions) +
                         segments.index_select(0, input.segments);
  return apply(layer_norm(sum, gamma, beta, epsilon), mask);
}

at::Tensor pool_mean(const at::Tensor& hidden, const PackedInput& input) {
  std::vector<at::Tensor> rows;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    rows.push_back(hidden.narrow(0, input.cu_seqlens[s], input.cu_seqlens[s + 1] - input.cu_seqlens[s]).mean(0));
  }
  return rows.empty() ? hidden : at::stack(rows);
}

at::Tensor hidden_dropout_mask(std::int64_t width, const DropoutSite& dropout, const PackedInput& input,
                               const DrawContext& draws) {
  const auto key = base::make_philox_key(draws.seed, base::DrawPurpose::kHiddenDropout, draws.pass, dropout.site);
  const auto threshold = base::make_dropout_threshold(dropout.probability);
  const at::Tensor mask = at::empty({input.num_tokens(), width}, at::kFloat);
  const auto* positions = input.positions.const_data_ptr<std::int64_t>();
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    for (std::int64_t t = input.cu_seqlens[s]; t < input.cu_seqlens[s + 1]; ++t) {
      draw_row(key, draws.step, input.philox_rows[s], static_cast<std::uint32_t>(positions[t]), threshold, width,
               mask.mutable_data_ptr<float>() + t * width);
    }
  }
  return mask;
}

std::vector<at::Tensor> attention_dropout_masks(std::int64_t num_heads, const DropoutSite& dropout,
                                                const PackedInput& input, const DrawContext& draws) {
  const auto key = base::make_philox_key(draws.seed, base::DrawPurpose::kAttentionDropout, draws.pass, dropout.site);
  const auto threshold = base::make_dropout_threshold(dropout.probability);
  std::vector<at::Tensor> masks;
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t length = input.cu_seqlens[s + 1] - input.cu_seqlens[s];
    masks.push_back(at::empty({num_heads, length, length}, at::kFloat));
    float* out = masks.back().mutable_data_ptr<float>();
    for (std::int64_t row = 0; row < num_heads * length; ++row) {
      const auto place = static_cast<std::uint32_t>((row / length) << 20 | (row % length));
      draw_row(key, draws.step, input.philox_rows[s], place, threshold, length, out + row * length);
    }
  }
  return masks;
}

at::Tensor head_dropout_mask(std::int64_t width, const DropoutSite& dropout, const PackedInput& input,
                             const DrawContext& draws) {
  const auto key = base::make_philox_key(draws.seed, base::DrawPurpose::kHeadDropout, draws.pass, dropout.site);
  const auto threshold = base::make_dropout_threshold(dropout.probability);
  const at::Tensor mask = at::empty({input.num_inputs(), width}, at::kFloat);
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    draw_row(key, draws.step, input.philox_rows[s], 0, threshold, width, mask.mutable_data_ptr<float>() + s * width);
  }
  return mask;
}

at::Tensor slot_dropout_mask(std::int64_t width, const SlotRows& rows, const DropoutSite& dropout,
                             const DrawContext& draws) {
  const auto key = base::make_philox_key(draws.seed, base::DrawPurpose::kHiddenDropout, draws.pass, dropout.site);
  const auto threshold = base::make_dropout_threshold(dropout.probability);
  const at::Tensor mask = at::empty({rows.count, width}, at::kFloat);
  float* out = mask.mutable_data_ptr<float>();
  for (std::int64_t r = 0; r < rows.count; ++r) {
    draw_row(key, draws.step, kParameterPhiloxRow, static_cast<std::uint32_t>(rows.first + r), threshold, width,
             out + r * width);
  }
  return mask;
}

}  // namespace meshfold::models::ops::reference
