#include "models/ops/kernels/activation.hpp"

#include <ATen/ATen.h>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/context/operand_types.hpp"
#include "models/ops/aten/elementwise.hpp"
#include "models/ops/kernels/activation_math.hpp"
#include "models/ops/kernels/chunks.hpp"

namespace meshfold::models::ops {
namespace {

template <typename S, typename T>
struct ForwardRows {
  const S* sums;  ///< may be z
  T* z;
  T* y;               ///< z itself for kNone
  const float* bias;  ///< may be null
  std::int64_t width;
};

template <Activation kActivation>
struct ForwardKernel {
  template <typename S, typename T>
  [[gnu::always_inline]] static void run(const ForwardRows<S, T>& rows, std::int64_t begin, std::int64_t end) {
    const float* bias = rows.bias;
    for (std::int64_t r = begin; r < end; ++r) {
      const S* sums = rows.sums + r * rows.width;
      T *z = rows.z + r * rows.width, *y = rows.y + r * rows.width;
      if (bias) {
        for (std::int64_t i = 0; i < rows.width; ++i) z[i] = static_cast<T>(static_cast<float>(sums[i]) + bias[i]);
      } else {
        for (std::int64_t i = 0; i < rows.width; ++i) z[i] = static_cast<T>(static_cast<float>(sums[i]));
      }
      if constexpr (kActivation != Activation::kNone) {
        for (std::int64_t i = 0; i < rows.width; ++i)
          y[i] = static_cast<T>(value_of<kActivation, T>(static_cast<float>(z[i])));
      }
    }
  }
};

template <typename T>
struct BackwardRows {
  const T *dy, *z;
  T* dz;
  std::int64_t width;
};

template <Activation kActivation>
struct BackwardKernel {
  template <typename T>
  [[gnu::always_inline]] static void run(const BackwardRows<T>& rows, std::int64_t begin, std::int64_t end,
                                         float* const& dbias) {
    float* const sum = dbias;
    for (std::int64_t r = begin; r < end; ++r) {
      const T *dy = rows.dy + r * rows.width, *z = rows.z + r * rows.width;
      T* dz = rows.dz + r * rows.width;
      for (std::int64_t i = 0; i < rows.width; ++i) {
        float gradient = static_cast<float>(dy[i]);
        if constexpr (kActivation != Activation::kNone) {
          gradient *= slope_of<kActivation, T>(static_cast<float>(z[i]));
          dz[i] = static_cast<T>(gradient);
        }
        sum[i] += gradient;
      }
    }
  }
};

template <typename T>
struct SlopeRows {
  T* gradient;
  const T* z;
  T* y;
  std::int64_t width;
};

template <Activation kActivation>
struct SlopeKernel {
  template <typename T>
  [[gnu::always_inline]] static void run(const SlopeRows<T>& rows, std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin * rows.width; i < end * rows.width; ++i) {
      const float z = static_cast<float>(rows.z[i]);
      rows.y[i] = static_cast<T>(value_of<kActivation, T>(z));
      rows.gradient[i] = static_cast<T>(static_cast<float>(rows.gradient[i]) * slope_of<kActivation, T>(z));
    }
  }
};

template <typename T>
void slope_typed(at::Tensor& gradient, const at::Tensor& z, at::Tensor& y, Activation activation) {
  const SlopeRows<T> rows{gradient.mutable_data_ptr<T>(), z.const_data_ptr<T>(), y.mutable_data_ptr<T>(), z.size(1)};
  with_activation(activation, [&](auto kind) {
    for_each_chunk(z.size(0), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      base::run_kernel<SlopeKernel<decltype(kind)::value>>(rows, begin, end);
    });
  });
}

template <typename S, typename T>
void forward_typed(const at::Tensor& sums, Activations& result, const at::Tensor& bias, Activation activation) {
  const ForwardRows<S, T> rows{sums.const_data_ptr<S>(), result.z.mutable_data_ptr<T>(), result.y.mutable_data_ptr<T>(),
                               bias.defined() ? bias.const_data_ptr<float>() : nullptr, sums.size(1)};
  with_activation(activation, [&](auto kind) {
    for_each_chunk(sums.size(0), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
      base::run_kernel<ForwardKernel<decltype(kind)::value>>(rows, begin, end);
    });
  });
}

template <typename T>
void backward_typed(const at::Tensor& dy, const at::Tensor& z, at::Tensor& dz, const at::Tensor& partial,
                    Activation activation) {
  const BackwardRows<T> rows{dy.const_data_ptr<T>(), z.const_data_ptr<T>(), dz.mutable_data_ptr<T>(), dy.size(1)};
  float* sums = partial.mutable_data_ptr<float>();
  with_activation(activation, [&](auto kind) {
    for_each_chunk(dy.size(0), [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
      float* const dbias = sums + chunk * rows.width;
      base::run_kernel<BackwardKernel<decltype(kind)::value>>(rows, begin, end, dbias);
    });
  });
}

}  // namespace

Activations add_bias_and_activate(at::Tensor sums, const at::Tensor& bias, Activation activation, at::ScalarType type) {
  check_operands(sums.scalar_type(), "activation");
  check_operands(type, "activation");
  if (back_end_of(sums) == BackEnd::kAten) return aten::add_bias_and_activate(sums, bias, activation, type);
  Activations result;
  result.z = sums.scalar_type() == type ? sums : at::empty_like(sums, sums.options().dtype(type));
  result.y = activation == Activation::kNone ? result.z : at::empty_like(result.z);
  dispatch_operands(sums.scalar_type(), "activation", [&]<typename S>() {
    dispatch_operands(type, "activation", [&]<typename T>() { forward_typed<S, T>(sums, result, bias, activation); });
  });
  return result;
}

ActivationGradients activation_backward(const at::Tensor& output_gradient, const at::Tensor& z, Activation activation) {
  const at::Tensor dy = output_gradient.contiguous();
  check_operands(dy.scalar_type(), "activation");
  if (back_end_of(dy) == BackEnd::kAten) return aten::activation_backward(dy, z, activation);
  ActivationGradients result;
  const bool linear = activation == Activation::kNone;
  result.dz = linear ? dy : at::empty_like(dy);
  const at::Tensor partial = at::zeros({num_chunks(dy.size(0)), dy.size(1)}, dy.options().dtype(at::kFloat));
  dispatch_operands(dy.scalar_type(), "activation",
                    [&]<typename T>() { backward_typed<T>(dy, linear ? dy : z, result.dz, partial, activation); });
  result.bias = at::zeros({dy.size(1)}, partial.options());
  for (std::int64_t chunk = 0; chunk < partial.size(0); ++chunk) result.bias.add_(partial[chunk]);
  return result;
}

at::Tensor column_sums(const at::Tensor& rows) { return activation_backward(rows, {}, Activation::kNone).bias; }

at::Tensor multiply_by_slope(at::Tensor gradient, const at::Tensor& z, Activation activation) {
  check_operands(z.scalar_type(), "activation");
  if (back_end_of(z) == BackEnd::kAten) return aten::multiply_by_slope(gradient, z, activation);
  at::Tensor y = at::empty_like(z);
  dispatch_operands(z.scalar_type(), "activation", [&]<typename T>() { slope_typed<T>(gradient, z, y, activation); });
  return y;
}

}  // namespace meshfold::models::ops
