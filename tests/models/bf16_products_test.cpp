// The kernels of bf16 products, by dot-product instructions and by tiles, against fp64 products by LibTorch, for shapes
// that leave every kind of tail.
#include "models/ops/kernels/bf16_products.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/vector_math.hpp"
#include "models/reference/reference.hpp"
#include "tests/models/emulated_products.hpp"
#include "tests/models/trapped_tiles.hpp"

namespace meshfold::models::ops {
namespace {

using kernels::Beta;

struct Shape {
  std::int64_t rows, in, out;
};

/// One row to several tasks, one pair to several vectors, one column to several panels.
const std::vector<Shape> kShapes = {{1, 2, 1},   {3, 4, 48},   {7, 34, 47},   {8, 32, 49},   {9, 96, 50},
                                    {33, 2, 97}, {64, 66, 16}, {129, 30, 33}, {513, 14, 63}, {1030, 130, 20}};
/// Every number of row tiles, column tiles and steps, whole and not; in both directions of a walk, over several groups.
const std::vector<Shape> kTileShapes = {{15, 1, 16},  {16, 31, 32},  {17, 33, 64},  {47, 64, 31},
                                        {48, 65, 65}, {49, 96, 160}, {100, 129, 7}, {97, 1060, 98}};

/// One way to multiply.
struct Products : kernels::ProductKernels {
  const char* name;
  bool (*exist)();
  const char* reason;  ///< why they may not exist
  bool odd_sums;       ///< whether the summed dim may be odd
  bool trap = false;   ///< whether instructions that the CPU lacks are emulated
};

const Products kDotProducts = {kernels::dot_products(), "DotProducts", base::has_avx512_bf16,
                               "this CPU has no fast dot products of bf16 pairs", false};
const Products kTiles = {kernels::tile_products(), "Tiles", base::has_amx_bf16,
                         "this CPU has no AMX tiles of bf16, or its kernel does not grant them", true};
const Products kEmulatedTiles = {kernels::emulated_products(), "EmulatedTiles",
                                 [] { return base::has_avx512_bf16() || base::has_amx_bf16(); },
                                 "this CPU lacks the AVX512-BF16 that packs operands and rounds sums", true};

/// The very same code, where its instructions trap.
const Products kTrappedTiles = [] {
  Products products = kTiles;
  products.name = "TrappedTiles";
  products.trap = true;
  products.exist = [] { return base::has_avx512_bf16() && !base::has_amx_bf16(); };
  products.reason = "this CPU has AMX itself, or lacks the AVX512-BF16 that packs operands and rounds sums";
  return products;
}();

class Bf16Products : public testing::TestWithParam<Products> {
 protected:
  void SetUp() override {
    if (!GetParam().exist()) GTEST_SKIP() << GetParam().reason;
    if (GetParam().trap) trap_.emplace();
    at::manual_seed(3);
    at::set_num_threads(2);
  }
  void TearDown() override { at::set_num_threads(1); }

  static at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).to(at::kBFloat16); }
  static std::vector<Shape> shapes() {
    if (GetParam().trap) return kTileShapes;  // a trap takes microseconds
    std::vector<Shape> result = kShapes;
    if (GetParam().odd_sums) result.insert(result.end(), kTileShapes.begin(), kTileShapes.end());
    return result;
  }

 private:
  std::optional<kernels::amx::TrappedTiles> trap_;
};

INSTANTIATE_TEST_SUITE_P(By, Bf16Products, testing::Values(kDotProducts, kEmulatedTiles, kTrappedTiles, kTiles),
                         [](const auto& instance) { return std::string(instance.param.name); });

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

TEST_P(Bf16Products, OfInputGradientsAreThoseOfFp64) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << shape.in << " to " << shape.out);
    // The product sums over `in` here: its pairs must be whole.
    const at::Tensor dy = random({shape.rows, shape.in}), weight = random({shape.in, shape.out});
    const at::Tensor dx = at::full({shape.rows, shape.out}, NAN), rounded = at::empty_like(dx, at::kBFloat16);

    GetParam().product_input_gradient(dy, weight, dx);
    GetParam().product_input_gradient(dy, weight, rounded);

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

TEST_P(Bf16Products, OfInputGradientsGoThroughAnActivationThatIsMadeAgain) {
  for (const auto activation :
       {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh, Activation::kRelu}) {
    for (const Shape& shape : shapes()) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(activation) << ": " << shape.rows << " rows, " << shape.in
                                      << " to " << shape.out);
      const at::Tensor dy = random({shape.rows, shape.in}), weight = random({shape.in, shape.out}),
                       z = random({shape.rows, shape.out}), dz = at::full_like(z, NAN), y = at::full_like(z, NAN);

      GetParam().activated_input_gradient(dy, weight, z, activation, dz, y);

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

TEST_P(Bf16Products, OfWeightGradientsAreThoseOfFp64AlsoWithAnOddNumberOfRows) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << shape.in << " to " << shape.out);
    const at::Tensor dy = random({shape.rows, shape.out}), x = random({shape.rows, shape.in});
    const at::Tensor earlier = at::randn({shape.out, shape.in}), sum = earlier.clone(),
                     fresh = at::full_like(earlier, NAN);

    GetParam().weight_gradient(dy, x, Beta::kOne, sum);
    GetParam().weight_gradient(dy, x, Beta::kZero, fresh);

    expect_product(sum, dy.t(), x, earlier);
    expect_product(fresh, dy.t(), x, at::zeros({1, 1}));
  }
}

TEST_P(Bf16Products, OfWeightGradientsAddUpOverMoreRowsThanOneSumTakes) {
  const at::Tensor dy = random({9001, 10}), x = random({9001, 6}), sum = at::full({10, 6}, NAN);

  GetParam().weight_gradient(dy, x, Beta::kZero, sum);

  expect_product(sum, dy.t(), x, at::zeros({1, 1}));
}

TEST_P(Bf16Products, OfNoRowsLeaveASumOrZeros) {
  const at::Tensor none = random({0, 4}), sum = at::ones({4, 4}), fresh = at::full({4, 4}, NAN);

  GetParam().weight_gradient(none, none, Beta::kOne, sum);
  GetParam().weight_gradient(none, none, Beta::kZero, fresh);

  EXPECT_TRUE(at::equal(sum, at::ones({4, 4})));
  EXPECT_TRUE(at::equal(fresh, at::zeros({4, 4})));
}

TEST_P(Bf16Products, OfLayersAddBiasAndActivateBeforeTheyRound) {
  for (const auto activation :
       {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh, Activation::kRelu}) {
    for (const Shape& shape : shapes()) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(activation) << ": " << shape.rows << " rows, " << shape.in
                                      << " to " << shape.out);
      const at::Tensor x = random({shape.rows, shape.in}), weight = random({shape.out, shape.in}),
                       bias = at::randn({shape.out});
      const at::Tensor y = at::full({shape.rows, shape.out}, NAN, at::kBFloat16), z = y.clone(), y_alone = y.clone();

      GetParam().linear_forward(x, weight, bias, activation, z, y);
      GetParam().linear_forward(x, weight, bias, activation, {}, y_alone);

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

TEST_P(Bf16Products, OfLayersWithoutBiasAreThoseWithABiasOfZero) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << shape.in << " to " << shape.out);
    const at::Tensor x = random({shape.rows, shape.in}), weight = random({shape.out, shape.in});
    const at::Tensor without = at::full({shape.rows, shape.out}, NAN, at::kBFloat16), zero = without.clone();

    GetParam().linear_forward(x, weight, /*bias=*/{}, Activation::kGelu, {}, without);
    GetParam().linear_forward(x, weight, at::zeros({shape.out}), Activation::kGelu, {}, zero);

    EXPECT_TRUE(at::equal(without, zero));
  }
}

TEST(Tiles, GiveTheBitsOfTheirEmulation) {
  if (!kTrappedTiles.exist()) GTEST_SKIP() << kTrappedTiles.reason;
  const kernels::amx::TrappedTiles trap;
  at::manual_seed(5);
  const at::Tensor dy = at::randn({61, 70}).to(at::kBFloat16), weight = at::randn({70, 90}).to(at::kBFloat16),
                   dx = at::empty({61, 90}), expected = at::empty_like(dx);
  const std::int64_t before = kernels::amx::TrappedTiles::num_instructions();

  kernels::tile_products().product_input_gradient(dy, weight, dx);
  const std::int64_t after = kernels::amx::TrappedTiles::num_instructions();
  kernels::emulated_products().product_input_gradient(dy, weight, expected);

  EXPECT_TRUE(at::equal(dx, expected));
  EXPECT_EQ(kernels::amx::TrappedTiles::num_instructions(), after) << "the emulation uses the CPU's tiles";
  EXPECT_GE(after - before, 4 * 6 * 3) << "fewer than the dot products of 4 x 6 tiles over 3 steps";
}

TEST_P(Bf16Products, WriteNothingBehindTheirLastRow) {
  for (const Shape& shape : shapes()) {
    SCOPED_TRACE(testing::Message() << shape.rows << " rows, " << shape.in << " to " << shape.out);
    const at::Tensor x = random({shape.rows, shape.in}), weight = random({shape.out, shape.in}),
                     bias = at::randn({shape.out}), dy = random({shape.rows, shape.out}),
                     columns = weight.t().contiguous();
    const at::Tensor y = at::full({shape.rows + 1, shape.out}, NAN, at::kBFloat16), z = y.clone(), dz = y.clone(),
                     value = y.clone(), dx = y.to(at::kFloat), sum = at::full({shape.out + 1, shape.in}, NAN);
    const auto rows_of = [](const at::Tensor& tensor) { return tensor.narrow(0, 0, tensor.size(0) - 1); };

    GetParam().linear_forward(x, weight, bias, Activation::kGelu, rows_of(z), rows_of(y));
    GetParam().product_input_gradient(x, columns, rows_of(dx));
    GetParam().activated_input_gradient(x, columns, rows_of(z), Activation::kGelu, rows_of(dz), rows_of(value));
    GetParam().weight_gradient(dy, x, Beta::kZero, rows_of(sum));

    for (const at::Tensor& result : {y, z, dz, value, dx, sum}) {
      EXPECT_FALSE(at::isnan(rows_of(result)).any().item<bool>());
      EXPECT_TRUE(at::isnan(result[-1]).all().item<bool>());
    }
  }
}

TEST_P(Bf16Products, HaveTheSameBitsOnAnyNumberOfThreadsAndForAnyOtherRows) {
  const at::Tensor x = random({1100, 66}), weight = random({70, 66}), bias = at::randn({70}), dy = random({1100, 70});
  const auto all = [&](const at::Tensor& input, const at::Tensor& gradient) {
    std::vector<at::Tensor> results = {at::empty({input.size(0), 70}, input.options()), at::empty({input.size(0), 66}),
                                       at::empty({70, 66})};
    GetParam().linear_forward(input, weight, bias, Activation::kGelu, {}, results[0]);
    GetParam().product_input_gradient(gradient, weight, results[1]);
    GetParam().weight_gradient(gradient, input, Beta::kZero, results[2]);
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
