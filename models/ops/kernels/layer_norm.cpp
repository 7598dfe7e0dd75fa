#include "models/ops/kernels/layer_norm.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/aten/elementwise.hpp"
#include "models/ops/kernels/chunks.hpp"
#include "models/ops/kernels/vector_math.hpp"

namespace meshfold::models::ops {
namespace {

const RowDropout* active(const RowDropout* dropout) { return dropout && dropout->active() ? dropout : nullptr; }

template <typename T>
struct ForwardRows {
  const float* base;
  const T* x;
  const RowDropout *before, *after;
  const float *gamma, *beta;  ///< beta may be null
  float epsilon;
  std::int64_t width;
  float* y;
  T* normalized;  ///< null, as rstd: not wanted
  float* rstd;
};

struct ForwardKernel {
  template <typename T>
  [[gnu::always_inline]] static void run(const ForwardRows<T>& rows, std::int64_t begin, std::int64_t end) {
    const std::int64_t width = rows.width, padded = Dropout::padded_width(width);
    std::vector<float> scratch(2 * padded, 0.0F);
    float *h = scratch.data(), *multipliers = h + padded;
    for (std::int64_t r = begin; r < end; ++r) {
      const float* base = rows.base + r * width;
      if (!rows.x) {
        for (std::int64_t i = 0; i < width; ++i) h[i] = base[i];
      } else if (rows.before) {
        const T* x = rows.x + r * width;
        rows.before->fill_row(r, width, multipliers);
        for (std::int64_t i = 0; i < width; ++i) h[i] = base[i] + static_cast<float>(x[i]) * multipliers[i];
      } else {
        const T* x = rows.x + r * width;
        for (std::int64_t i = 0; i < width; ++i) h[i] = base[i] + static_cast<float>(x[i]);
      }
      const float mean = sum_of(h, padded) / static_cast<float>(width);
      for (std::int64_t i = 0; i < width; ++i) h[i] -= mean;
      const float variance = sum_of_products(h, h, padded) / static_cast<float>(width);
      const float rstd = 1.0F / std::sqrt(variance + rows.epsilon);
      float* y = rows.y + r * width;
      for (std::int64_t i = 0; i < width; ++i) h[i] *= rstd;
      if (rows.beta) {
        for (std::int64_t i = 0; i < width; ++i) y[i] = h[i] * rows.gamma[i] + rows.beta[i];
      } else {
        for (std::int64_t i = 0; i < width; ++i) y[i] = h[i] * rows.gamma[i];
      }
      if (rows.normalized) {
        rows.rstd[r] = rstd;
        T* normalized = rows.normalized + r * width;
        for (std::int64_t i = 0; i < width; ++i) normalized[i] = static_cast<T>(h[i]);
      }
      if (rows.after) {
        rows.after->fill_row(r, width, multipliers);
        for (std::int64_t i = 0; i < width; ++i) y[i] *= multipliers[i];
      }
      for (std::int64_t i = width; i < padded; ++i) h[i] = 0.0F;
    }
  }
};

template <typename T>
struct BackwardRows {
  const float* dy;
  const T* normalized;
  const float *rstd, *gamma;
  const RowDropout *before, *after;
  std::int64_t width;
  float* dbase;
  T* dx;
};

struct BackwardKernel {
  /// `dgamma` and `dbeta` [width] receive this chunk's sums.
  template <typename T>
  [[gnu::always_inline]] static void run(const BackwardRows<T>& rows, std::int64_t begin, std::int64_t end,
                                         float* const& dgamma, float* const& dbeta) {
    const std::int64_t width = rows.width, padded = Dropout::padded_width(width);
    std::vector<float> scratch(4 * padded, 0.0F);
    float *dy = scratch.data(), *scaled = dy + padded, *normalized = scaled + padded,
          *multipliers = normalized + padded;
    for (std::int64_t r = begin; r < end; ++r) {
      std::memcpy(dy, rows.dy + r * width, width * sizeof(float));
      const T* kept = rows.normalized + r * width;
      for (std::int64_t i = 0; i < width; ++i) normalized[i] = static_cast<float>(kept[i]);
      if (rows.after) {
        rows.after->fill_row(r, width, multipliers);
        for (std::int64_t i = 0; i < width; ++i) dy[i] *= multipliers[i];
      }
      for (std::int64_t i = 0; i < width; ++i) {
        dgamma[i] += dy[i] * normalized[i];
        dbeta[i] += dy[i];
        scaled[i] = dy[i] * rows.gamma[i];
      }
      const float mean = sum_of(scaled, padded) / static_cast<float>(width);
      const float projection = sum_of_products(scaled, normalized, padded) / static_cast<float>(width);
      float* dbase = rows.dbase + r * width;
      for (std::int64_t i = 0; i < width; ++i)
        dbase[i] = rows.rstd[r] * (scaled[i] - mean - normalized[i] * projection);
      if (!rows.dx) continue;
      T* dx = rows.dx + r * width;
      if (rows.before) {
        rows.before->fill_row(r, width, multipliers);
        for (std::int64_t i = 0; i < width; ++i) dx[i] = static_cast<T>(dbase[i] * multipliers[i]);
      } else {
        for (std::int64_t i = 0; i < width; ++i) dx[i] = static_cast<T>(dbase[i]);
      }
    }
  }
};

template <typename T>
void forward_typed(const NormInput& input, const at::Tensor& x, NormResult& result) {
  const ForwardRows<T> rows{input.base.const_data_ptr<float>(),
                            x.defined() ? x.const_data_ptr<T>() : nullptr,
                            active(input.before),
                            active(input.after),
                            input.gamma.const_data_ptr<float>(),
                            input.beta.defined() ? input.beta.const_data_ptr<float>() : nullptr,
                            static_cast<float>(input.epsilon),
                            input.base.size(1),
                            result.y.mutable_data_ptr<float>(),
                            result.normalized.defined() ? result.normalized.mutable_data_ptr<T>() : nullptr,
                            result.rstd.defined() ? result.rstd.mutable_data_ptr<float>() : nullptr};
  for_each_chunk(input.base.size(0), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
    base::run_kernel<ForwardKernel>(rows, begin, end);
  });
}

template <typename T>
void backward_typed(const at::Tensor& dy, const NormResult& saved, const at::Tensor& gamma, const RowDropout* before,
                    const RowDropout* after, NormGradients& gradients) {
  const std::int64_t num_rows = dy.size(0), width = dy.size(1);
  const BackwardRows<T> rows{dy.const_data_ptr<float>(),
                             saved.normalized.const_data_ptr<T>(),
                             saved.rstd.const_data_ptr<float>(),
                             gamma.const_data_ptr<float>(),
                             active(before),
                             active(after),
                             width,
                             gradients.base.mutable_data_ptr<float>(),
                             gradients.x.defined() ? gradients.x.mutable_data_ptr<T>() : nullptr};
  const at::Tensor partial = at::zeros({num_chunks(num_rows), 2, width}, dy.options());
  float* sums = partial.mutable_data_ptr<float>();
  for_each_chunk(num_rows, [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
    float* const dgamma = sums + chunk * 2 * width;
    float* const dbeta = dgamma + width;
    base::run_kernel<BackwardKernel>(rows, begin, end, dgamma, dbeta);
  });
  const at::Tensor total = at::zeros({2, width}, dy.options());
  for (std::int64_t chunk = 0; chunk < partial.size(0); ++chunk) total.add_(partial[chunk]);
  gradients.gamma = total[0];
  gradients.beta = total[1];
}

}  // namespace

NormResult norm_forward(const NormInput& input) {
  const at::ScalarType kept = input.x.defined() ? input.x.scalar_type() : at::kFloat;
  check_operands(kept, "norm");
  if (back_end_of(input.base) == BackEnd::kAten) return aten::norm_forward(input);
  const at::Tensor x = input.x.defined() ? input.x.contiguous() : input.x;
  NormResult result{at::empty_like(input.base), {}, {}};
  if (input.mode == Mode::kTraining) {
    result.normalized = at::empty_like(input.base, input.base.options().dtype(kept));
    result.rstd = at::empty({input.base.size(0)}, input.base.options());
  }
  dispatch_operands(kept, "norm", [&]<typename T>() { forward_typed<T>(input, x, result); });
  return result;
}

NormGradients norm_backward(const at::Tensor& output_gradient, const NormResult& saved, const at::Tensor& gamma,
                            const RowDropout* before, const RowDropout* after, at::ScalarType x_type) {
  const at::Tensor dy = output_gradient.to(at::kFloat).contiguous();
  if (back_end_of(dy) == BackEnd::kAten) return aten::norm_backward(dy, saved, gamma, before, after, x_type);
  NormGradients gradients;
  gradients.base = at::empty_like(dy);
  if (x_type != at::ScalarType::Undefined) gradients.x = at::empty_like(dy, dy.options().dtype(x_type));
  dispatch_operands(saved.normalized.scalar_type(), "norm", [&]<typename T>() {  // the type of x where there is one
    backward_typed<T>(dy, saved, gamma, before, after, gradients);
  });
  return gradients;
}

}  // namespace meshfold::models::ops
