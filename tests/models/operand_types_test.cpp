// Operations compute in fp32 and bf16. With any other type they refuse to, on every back end, in the project's own
// words.
#include "models/context/operand_types.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <functional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/layer_norm.hpp"
#include "models/ops/linear.hpp"
#include "models/ops/norm.hpp"
#include "models/ops/pooling.hpp"
#include "tests/models/block_test.hpp"

namespace meshfold::models::ops {
namespace {

at::Tensor halves(at::IntArrayRef shape) { return at::ones(shape, at::kHalf); }

ParameterView parameter(at::IntArrayRef shape, at::ScalarType compute_type) {
  const at::Tensor master = at::ones(shape);
  ParameterView view{0, master, master.to(compute_type)};
  view.num_rows = shape[0];
  return view;
}

struct Operation {
  std::string name;
  std::function<void()> compute;
};

/// Each with a Half tensor, five tokens of eight columns.
std::vector<Operation> operations() {
  const PackedInput input = pack_of({3, 2});
  const at::Tensor half = halves({5, 8}), floats = at::ones({5, 8});
  const Linear linear_in_fp32{parameter({8, 8}, at::kFloat), {}}, linear_in_half{parameter({8, 8}, at::kHalf), {}};
  const Norm after{parameter({8}, at::kFloat), parameter({8}, at::kFloat), kEpsilon};
  const ForwardContext context;
  const AttentionConfig all{.num_heads = 2, .head_width = 4};
  AttentionConfig first = all, causal = all;
  first.queries = QueryRows::kFirst;
  causal.mask = AttentionMask::kCausal;
  const auto attend = [=](const std::vector<at::Tensor>& query_key_value, const AttentionConfig& config) {
    return [=] { attention({.query_key_value = query_key_value}, config, {}, input, context); };
  };
  const AttentionConfig with_positions =
      disentangled(2, 4, {.num_buckets = 16, .max_distance = 40}, PositionTerms::kBoth);
  return {
      {"attention", attend({halves({5, 24})}, all)},
      {"attention", attend({halves({5, 24})}, causal)},
      {"attention", attend({halves({2, 8}), halves({5, 16})}, first)},
      {"attention",
       [=] {
         attention({.query_key_value = {halves({5, 24})}, .positions = halves({5, 16})}, with_positions, {}, input, {});
       }},
      {"linear", [=] { linear(half, linear_in_fp32, Activation::kNone, context); }},
      {"linear", [=] { linear(floats, linear_in_half, Activation::kGelu, context); }},
      {"linear", [=] { activated_linear(half, linear_in_fp32, Activation::kGelu, context); }},
      {"linear",
       [=] {
         linear(Activated{Activation::kGelu, {}, half}, linear_in_half, context);
       }},
      {"activation", [=] { add_bias_and_activate(floats.clone(), at::ones({8}), Activation::kGelu, at::kHalf); }},
      {"activation", [=] { add_bias_and_activate(half.clone(), at::ones({8}), Activation::kGelu, at::kFloat); }},
      {"activation", [=] { activation_backward(half, half, Activation::kGelu); }},
      {"activation", [=] { multiply_by_slope(half.clone(), half, Activation::kGelu); }},
      {"norm", [=] { norm(half, after, {}, input, context); }},
      {"norm", [=] { add_norm(half, floats, after, {}, input, context); }},
      {"norm", [=] { add_norm(floats, half, after, {}, input, context); }},
      {"norm", [=] { norm_activate(half, after, Activation::kGelu, context); }},
      {"pooling", [=] { pool_mean(half, input); }},
      {"pooling", [=] { pool_extreme(half, input, Extreme::kLargest); }},
      {"pooling",
       [=] {
         pool_softmax(half, halves({5, 1}), input);
       }},
      {"dropout",
       [=] {
         dropout_rows(halves({2, 8}), {0.5, 0}, input, {Mode::kRehearsal, kDraws});
       }},
  };
}

void expect_refusals() {
  const std::vector<Operation> all = operations();
  for (std::size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(all[i].name + ", entry " + std::to_string(i));
    try {
      all[i].compute();
      ADD_FAILURE() << "computed with Half";
    } catch (const std::exception& error) {
      EXPECT_EQ(error.what(),
                all[i].name + " does not compute with operands of type Half; set precision.compute to fp32 or bf16");
    }
  }
}

TEST(OperandTypes, AreRefusedByEveryOperationInHostMemory) { expect_refusals(); }

TEST(OperandTypes, AreRefusedByEveryOperationInLibTorchToo) {
  const AtenEverywhere aten;
  expect_refusals();
}

TEST(OperandTypes, AreFp32AndBf16) {
  const auto is_float = []<typename T>() { return std::is_same_v<T, float>; };
  EXPECT_TRUE(dispatch_operands(at::kFloat, "test", is_float));
  EXPECT_FALSE(dispatch_operands(at::kBFloat16, "test", is_float));
  for (const at::ScalarType other : {at::kHalf, at::kDouble, at::kChar, at::kLong}) {
    EXPECT_THROW(dispatch_operands(other, "test", is_float), std::invalid_argument);
    EXPECT_THROW(check_operands(other, "test"), std::invalid_argument);
  }
}

}  // namespace
}  // namespace meshfold::models::ops
