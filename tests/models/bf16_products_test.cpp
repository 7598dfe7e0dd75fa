// The dot-product kernels against fp64 products by LibTorch, for shapes that leave every kind of tail.
#include "models/ops/bf16_products.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "models/ops/activation.hpp"
#include "models/ops/instruction_set.hpp"
#include "models/ops/reference.hpp"
#include "models/ops/vector_math.hpp"

namespace meshfold::models::ops {
namespace {

using kernels::Beta;

class Bf16Products : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_avx512_bf16()) GTEST_SKIP() << "this CPU has no fast dot products of bf16 pairs";
    at::manual_seed(3);
    at::set_num_threads(2);
  }
  void TearDown() override { at::set_num_threads(1); }

  static at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).to(at::kBFloat16); }
};

/// Every element within what fp32 sums of `summed` products may lose.
void expect_product(const at::Tensor& actual, const at::Tensor& a, const at::Tensor& b, const at::Tensor& before) {
  const at::Tensor left = a.to(at::kDouble), right = b.to(at::kDouble);
  const at::Tensor expected = at::mm(left, right) + before.to(at::kDouble);
  const double unit = static_cast<double>(a.size(1) + 2) / (1 << 24);
  const at::Tensor bound = (at::mm(left.abs(), right.abs()) + before.to(at::kDouble).abs()) * unit + 1e-30;
  ASSERT_EQ(actual.sizes(), expected.sizes());
  const at::Tensor excess = (actual.to(at::kDouble) - expected).abs() / bound;
  EXPECT_LE(excess.max().item<double>(), 1.0) << "at " << excess.argmax().item<std::int64_t>();
}

struct Shape {
  std::int64_t rows, in, out;
};

/// One row to several tasks, one pair to several vectors, one column to several panels.
const std::vector<Shape> kShapes = {{1, 2, 1},   {3, 4, 48},   {7, 34, 47},   {8, 32, 49},   {9, 96, 50},
                                    {33, 2, 97}, {64, 66, 16}, {129, 30, 33}, {513, 14, 63}, {1030, 130, 20}};

TEST_F(Bf16Products, OfInputGradientsAreThoseOfFp64) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << shape.in << " to " << shape.out);
    // The product sums over `in` here: its pairs must be whole.
    const at::Tensor dy = random({shape.rows, shape.in}), weight = random({shape.in, shape.out});
    const at::Tensor dx = at::full({shape.rows, shape.out}, NAN), rounded = at::empty_like(dx, at::kBFloat16);

    kernels::product_input_gradient(dy, weight, dx);
    kernels::product_input_gradient(dy, weight, rounded);

    expect_product(dx, dy, weight, at::zeros({1, 1}));
    EXPECT_TRUE(at::equal(rounded, dx.to(at::kBFloat16))) << "bf16 is not fp32 rounded to nearest even";
  }
}

TEST(NormalTail, HasTheValueAndSlopeThatErfcGives) {
  for (double a = 0.0; a < 6.0; a += 1.0 / 1024) {
    const NormalTail tail = normal_tail(static_cast<float>(a));
    const double expected = 0.5 * std::erfc(a * std::sqrt(0.5));
    const double density = std::exp(-0.5 * a * a) * 0.3989422804014327;
    ASSERT_NEAR(tail.probability, expected, 1e-5 * expected) << a;
    ASSERT_NEAR(tail.slope, expected - a * density, 5e-6) << a;
  }
  EXPECT_LT(normal_tail(1e30F).probability, 1.1e-9F);
}

TEST_F(Bf16Products, OfInputGradientsGoThroughAnActivationThatIsMadeAgain) {
  for (const auto activation :
       {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh, Activation::kRelu}) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(activation) << ": " << shape.rows << " rows, " << shape.in
                                      << " to " << shape.out);
      const at::Tensor dy = random({shape.rows, shape.in}), weight = random({shape.in, shape.out}),
                       z = random({shape.rows, shape.out}), dz = at::full_like(z, NAN), y = at::full_like(z, NAN);

      kernels::activated_input_gradient(dy, weight, z, activation, dz, y);

      const at::Tensor leaf = z.to(at::kDouble).set_requires_grad(true);
      const at::Tensor expected = reference::activate(leaf, activation);
      expected.backward(at::mm(dy.to(at::kDouble), weight.to(at::kDouble)));
      EXPECT_TRUE(at::allclose(y.to(at::kDouble), expected.detach(), /*rtol=*/1.0 / 256, /*atol=*/2e-5));
      EXPECT_TRUE(at::allclose(dz.to(at::kDouble), leaf.grad(), /*rtol=*/1.0 / 256, /*atol=*/1e-4));
      const at::Tensor forward = add_bias_and_activate(z.clone(), at::zeros({shape.out}), activation, at::kBFloat16).y;
      EXPECT_TRUE(at::equal(y, forward)) << "backward sees another activation than forward";
    }
  }
}

TEST_F(Bf16Products, OfWeightGradientsAreThoseOfFp64AlsoWithAnOddNumberOfRows) {
  for (const Shape& shape : kShapes) {
    SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << shape.in << " to " << shape.out);
    const at::Tensor dy = random({shape.rows, shape.out}), x = random({shape.rows, shape.in});
    const at::Tensor earlier = at::randn({shape.out, shape.in}), sum = earlier.clone(),
                     fresh = at::full_like(earlier, NAN);

    kernels::weight_gradient(dy, x, Beta::kOne, sum);
    kernels::weight_gradient(dy, x, Beta::kZero, fresh);

    expect_product(sum, dy.t(), x, earlier);
    expect_product(fresh, dy.t(), x, at::zeros({1, 1}));
  }
}

TEST_F(Bf16Products, OfWeightGradientsAddUpOverMoreRowsThanOneSumTakes) {
  const at::Tensor dy = random({9001, 10}), x = random({9001, 6}), sum = at::full({10, 6}, NAN);

  kernels::weight_gradient(dy, x, Beta::kZero, sum);

  expect_product(sum, dy.t(), x, at::zeros({1, 1}));
}

TEST_F(Bf16Products, OfNoRowsLeaveASumOrZeros) {
  const at::Tensor none = random({0, 4}), sum = at::ones({4, 4}), fresh = at::full({4, 4}, NAN);

  kernels::weight_gradient(none, none, Beta::kOne, sum);
  kernels::weight_gradient(none, none, Beta::kZero, fresh);

  EXPECT_TRUE(at::equal(sum, at::ones({4, 4})));
  EXPECT_TRUE(at::equal(fresh, at::zeros({4, 4})));
}

TEST_F(Bf16Products, OfLayersAddBiasAndActivateBeforeTheyRound) {
  for (const auto activation :
       {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh, Activation::kRelu}) {
    for (const Shape& shape : kShapes) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(activation) << ": " << shape.rows << " rows, " << shape.in
                                      << " to " << shape.out);
      const at::Tensor x = random({shape.rows, shape.in}), weight = random({shape.out, shape.in}),
                       bias = at::randn({shape.out});
      const at::Tensor y = at::full({shape.rows, shape.out}, NAN, at::kBFloat16), z = y.clone(), y_alone = y.clone();

      kernels::linear_forward(x, weight, bias, activation, z, y);
      kernels::linear_forward(x, weight, bias, activation, {}, y_alone);

      const at::Tensor exact = at::linear(x.to(at::kDouble), weight.to(at::kDouble), bias.to(at::kDouble));
      const auto close = [](const at::Tensor& actual, const at::Tensor& expected) {
        return at::allclose(actual.to(at::kDouble), expected, /*rtol=*/1.0 / 256, /*atol=*/2e-5);
      };
      if (activation == Activation::kNone) {
        EXPECT_TRUE(close(y, exact));
      } else {
        EXPECT_TRUE(close(z, exact));
        EXPECT_TRUE(close(y, reference::activate(z.to(at::kDouble), activation)));
      }
      EXPECT_TRUE(at::equal(y, y_alone));
    }
  }
}

TEST_F(Bf16Products, HaveTheSameBitsOnAnyNumberOfThreadsAndForAnyOtherRows) {
  const at::Tensor x = random({1100, 66}), weight = random({70, 66}), bias = at::randn({70}), dy = random({1100, 70});
  const auto all = [&](const at::Tensor& input, const at::Tensor& gradient) {
    std::vector<at::Tensor> results = {at::empty({input.size(0), 70}, input.options()), at::empty({input.size(0), 66}),
                                       at::empty({70, 66})};
    kernels::linear_forward(input, weight, bias, Activation::kGelu, {}, results[0]);
    kernels::product_input_gradient(gradient, weight, results[1]);
    kernels::weight_gradient(gradient, input, Beta::kZero, results[2]);
    return results;
  };

  const auto two = all(x, dy);
  at::set_num_threads(1);
  const auto one = all(x, dy);
  const auto part = all(x.narrow(0, 5, 601).contiguous(), dy.narrow(0, 5, 601).contiguous());

  for (std::size_t i = 0; i < two.size(); ++i) EXPECT_TRUE(at::equal(two[i], one[i])) << "result " << i;
  for (std::size_t i = 0; i < 2; ++i) EXPECT_TRUE(at::equal(two[i].narrow(0, 5, 601), part[i])) << "result " << i;
}

}  // namespace
}  // namespace meshfold::models::ops
