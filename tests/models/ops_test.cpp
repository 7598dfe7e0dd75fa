// Every block against its twin in plain operations, in fp64: outputs, input gradients and weight gradients.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <vector>

#include "models/ops/embed.hpp"
#include "models/ops/kernels/activation.hpp"
#include "models/ops/kernels/layer_norm.hpp"
#include "models/ops/linear.hpp"
#include "models/ops/norm.hpp"
#include "models/ops/pooling.hpp"
#include "tests/models/block_test.hpp"

namespace meshfold::models::ops {
namespace {

class Ops : public BlockTest {
 protected:
  /// LibTorch's bf16 products round before the bias is added, which moves sums near zero over ReLU's kink.
  static double bound_with(Activation activation) {
    const bool rounds_twice = GetParam().back_end == BackEnd::kAten;
    return rounds_twice && activation == Activation::kRelu ? 0.1 : 1.5e-2;
  }
};

constexpr Activation kActivations[] = {Activation::kNone, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh,
                                       Activation::kRelu};

TEST_P(Ops, LinearEqualsItsTwinWithEveryActivationAndWithoutBias) {
  for (const Activation activation : kActivations) {
    SCOPED_TRACE(static_cast<int>(activation));
    bf16_bound_ = bound_with(activation);
    for (const std::int64_t width : {21, 38}) {  // pairs of bf16 come out even only in the second
      for (const Bias bias : kWithAndWithoutBias) {
        const Linear projection = make_linear(width + 16, width, bias);
        const at::Tensor x = input_leaf(random({tokens(), width})), x_twin = leaf(x);
        const Twin twin = twin_of(projection);

        const at::Tensor y = linear(x, projection, activation, training());

        EXPECT_EQ(y.scalar_type(), GetParam().type);
        compare(y, reference::linear(x_twin, twin.weight, twin.bias, activation));
        expect_close(x.grad(), x_twin.grad(), "input gradient");
        expect_gradients(projection, twin, "projection");
      }
    }
  }
}

TEST_P(Ops, LinearsAroundAnActivationEqualTheirTwinWithAndWithoutBias) {
  for (const Activation activation : kActivations) {
    SCOPED_TRACE(static_cast<int>(activation));
    bf16_bound_ = bound_with(activation);
    for (const std::int64_t width : {21, 38}) {
      for (const Bias bias : kWithAndWithoutBias) {
        const std::int64_t wide = 3 * width;
        const Linear first = make_linear(wide, width, bias), second = make_linear(width, wide, bias);
        const at::Tensor x = input_leaf(random({tokens(), width})), x_twin = leaf(x);
        const Twin first_twin = twin_of(first), second_twin = twin_of(second);

        const at::Tensor y = linear(activated_linear(x, first, activation, training()), second, training());

        const at::Tensor between = reference::linear(x_twin, first_twin.weight, first_twin.bias, activation);
        compare(y, reference::linear(between, second_twin.weight, second_twin.bias, Activation::kNone));
        expect_close(x.grad(), x_twin.grad(), "input gradient");
        expect_gradients(first, first_twin, "first");
        expect_gradients(second, second_twin, "second");
      }
    }
  }
}

TEST_P(Ops, AddNormEqualsItsTwinWithAndWithoutBias) {
  for (const std::int64_t width : {20, 64}) {
    for (const Bias bias : kWithAndWithoutBias) {
      SCOPED_TRACE(width);
      const Norm norm = make_norm(width, bias);
      const at::Tensor x = input_leaf(random({tokens(), width})), residual = input_leaf(at::randn({tokens(), width}));
      const at::Tensor x_twin = leaf(x), residual_twin = leaf(residual);
      const Twin twin = twin_of(norm);

      const at::Tensor y = add_norm(x, residual, norm, site(), input_, training());

      EXPECT_EQ(y.scalar_type(), at::kFloat);
      compare(y, reference::add_norm(x_twin, residual_twin, twin.weight, twin.bias, kEpsilon, hidden_mask(width)));
      expect_close(x.grad(), x_twin.grad(), "input gradient");
      expect_close(residual.grad(), residual_twin.grad(), "residual gradient");
      expect_gradients(norm, twin, "norm");
    }
  }
}

TEST_P(Ops, NormActivateEqualsItsTwinWithAndWithoutBias) {
  constexpr std::int64_t kWidth = 36;
  for (const Bias bias : kWithAndWithoutBias) {
    const Norm norm = make_norm(kWidth, bias);
    const at::Tensor x = input_leaf(random({tokens(), kWidth})), x_twin = leaf(x);
    const Twin twin = twin_of(norm);

    const at::Tensor y = norm_activate(x, norm, Activation::kGelu, training());

    EXPECT_EQ(y.scalar_type(), at::kFloat);
    const at::Tensor normal = at::layer_norm(x_twin, {kWidth}, twin.weight, twin.bias, kEpsilon);
    compare(y, reference::activate(normal, Activation::kGelu));
    expect_close(x.grad(), x_twin.grad(), "input gradient");
    expect_gradients(norm, twin, "norm");
  }
}

TEST_P(Ops, EmbedEqualsItsTwinWithAndWithoutBias) {
  constexpr std::int64_t kWidth = 28;
  for (const Bias bias : kWithAndWithoutBias) {
    const EmbeddingTables tables{parameter(at::randn({17, kWidth})), parameter(at::randn({80, kWidth})),
                                 parameter(at::randn({2, kWidth}))};
    const Norm norm = make_norm(kWidth, bias);
    const at::Tensor words = leaf(tables.words.value), positions = leaf(tables.positions.value),
                     segments = leaf(tables.segments.value);
    const Twin twin = twin_of(norm);

    const at::Tensor y = embed(input_, tables, norm, site(), training());

    compare(
        y, reference::embed(input_, words, positions, segments, twin.weight, twin.bias, kEpsilon, hidden_mask(kWidth)));
    expect_close(gradients_.of(tables.words), words.grad(), "words");
    expect_close(gradients_.of(tables.positions), positions.grad(), "positions");
    expect_close(gradients_.of(tables.segments), segments.grad(), "segments");
    expect_gradients(norm, twin, "norm");
  }
}

TEST_P(Ops, ProjectedEmbeddingsEqualTheirTwinWithAndWithoutBias) {
  constexpr std::int64_t kNarrow = 12, kWidth = 28;
  for (const Bias bias : kWithAndWithoutBias) {
    const EmbeddingTables tables{parameter(at::randn({17, kNarrow})), parameter(at::randn({80, kNarrow})), {}};
    const Linear projection = make_linear(kWidth, kNarrow, bias);
    const Norm after = make_norm(kWidth, bias);
    const at::Tensor words = leaf(tables.words.value), positions = leaf(tables.positions.value);
    const Twin projection_twin = twin_of(projection), norm_twin = twin_of(after);

    const at::Tensor sum = sum_embeddings(input_, tables, training());
    const at::Tensor projected = linear(sum, projection, Activation::kNone, training());
    const at::Tensor y = norm(projected, after, site(), input_, training());

    EXPECT_EQ(y.scalar_type(), at::kFloat);
    const at::Tensor sum_twin = words.index_select(0, input_.token_ids) + positions.index_select(0, input_.positions);
    const at::Tensor row = reference::linear(sum_twin, projection_twin.weight, projection_twin.bias, Activation::kNone);
    const at::Tensor normal = at::layer_norm(row, {kWidth}, norm_twin.weight, norm_twin.bias, kEpsilon);
    const at::Tensor mask = hidden_mask(kWidth);
    compare(y, mask.defined() ? normal * mask : normal);
    expect_close(gradients_.of(tables.words), words.grad(), "words");
    expect_close(gradients_.of(tables.positions), positions.grad(), "positions");
    expect_gradients(projection, projection_twin, "projection");
    expect_gradients(after, norm_twin, "norm");
  }
}

TEST_P(Ops, AttentionEqualsItsTwinForHeadsOfEveryWidth) {
  struct Heads {
    std::int64_t count, width;
  };
  for (const Heads heads : {Heads{3, 32}, Heads{2, 64}, Heads{4, 16}, Heads{3, 5}}) {
    SCOPED_TRACE(heads.width);
    const at::Tensor qkv = input_leaf(random({tokens(), 3 * heads.count * heads.width}));
    const at::Tensor qkv_twin = leaf(qkv);
    const AttentionConfig config{.num_heads = heads.count, .head_width = heads.width};

    const at::Tensor y = attention({.query_key_value = {qkv}}, config, site(), input_, training());

    EXPECT_EQ(y.scalar_type(), GetParam().type);
    compare(y, reference::attention(qkv_twin, {}, config, attention_masks(heads.count), input_));
    const char* const names[] = {"query gradient", "key gradient", "value gradient"};
    const std::int64_t width = heads.count * heads.width;
    for (int i = 0; i < 3; ++i)
      expect_close(qkv.grad().narrow(1, i * width, width), qkv_twin.grad().narrow(1, i * width, width), names[i]);
  }
}

TEST_P(Ops, PoolingEqualsItsTwins) {
  const at::Tensor hidden = input_leaf(random({tokens(), 19})), hidden_twin = leaf(hidden);
  compare(pool_mean(hidden, input_), reference::pool_mean(hidden_twin, input_));
  expect_close(hidden.grad(), hidden_twin.grad(), "gradient of the mean");

  const at::Tensor first = input_leaf(random({tokens(), 19})), first_twin = leaf(first);
  const std::vector<std::int64_t> starts(input_.cu_seqlens.begin(), input_.cu_seqlens.end() - 1);
  compare(pool_cls(first, input_), first_twin.index_select(0, at::tensor(starts, at::kLong)));
  expect_close(first.grad(), first_twin.grad(), "gradient of the first tokens");
}

TEST_P(Ops, DropoutRowsMultipliesOutputAndGradientByOneMask) {
  const at::Tensor x = input_leaf(at::ones({input_.num_inputs(), 21}).to(GetParam().type));

  const at::Tensor y = dropout_rows(x, site(), input_, training());
  y.backward(at::ones_like(y));

  const at::Tensor mask = GetParam().dropout > 0.0 ? reference::head_dropout_mask(21, site(), input_, kDraws)
                                                   : at::ones({input_.num_inputs(), 21});
  EXPECT_TRUE(at::equal(y.detach(), mask.to(GetParam().type)));
  EXPECT_TRUE(at::equal(x.grad(), mask.to(GetParam().type)));
  EXPECT_EQ((mask == 0).any().item<bool>(), GetParam().dropout > 0.0);
}

INSTANTIATE_TEST_SUITE_P(Settings, Ops, settings(), name_of);

PackedInput pack_for_bits() { return pack_of({90, 1, 33, 64, 25, 25, 12}); }

/// What the element-wise kernels compute for a pack, forward and backward.
std::vector<at::Tensor> elementwise_kernels() {
  at::manual_seed(4);
  const PackedInput input = pack_for_bits();
  const std::int64_t tokens = input.num_tokens(), width = 40;
  std::int64_t offset = 0;
  const auto parameter = [&](at::IntArrayRef shape) {
    const at::Tensor value = at::randn(shape);
    ParameterView view{offset++, value, value};
    view.num_rows = value.size(0);
    return view;
  };
  const std::vector<ParameterView> p = {parameter({17, width}), parameter({90, width}), parameter({2, width}),
                                        parameter({width}),     parameter({width}),     parameter({width}),
                                        parameter({width})};
  Gradients gradients;
  const ForwardContext context{Mode::kTraining, kDraws, &gradients};
  const at::Tensor mixed = at::randn({tokens, width}).set_requires_grad(true);

  const at::Tensor embedded = embed(input, {p[0], p[1], p[2]}, {p[3], p[4], kEpsilon}, {0.1, 0}, context);
  const at::Tensor hidden = add_norm(mixed, embedded, {p[5], p[6], kEpsilon}, {0.1, 1}, input, context);
  hidden.backward(at::randn({tokens, width}));
  std::vector<at::Tensor> results = {hidden.detach(), mixed.grad()};
  for (const ParameterView& view : p) results.push_back(gradients.of(view));
  const at::Tensor z = at::randn({tokens, width});
  results.push_back(add_bias_and_activate(z, p[3].value, Activation::kGelu, at::kFloat).y);
  const ActivationGradients activation = activation_backward(at::randn({tokens, width}), z, Activation::kGelu);
  results.push_back(activation.dz);
  results.push_back(activation.bias);
  return results;
}

std::vector<at::Tensor> attention_kernels() {
  at::manual_seed(4);
  const PackedInput input = pack_for_bits();
  const at::Tensor qkv = at::randn({input.num_tokens(), 120}).set_requires_grad(true);
  Gradients gradients;

  const at::Tensor mixed = attention({.query_key_value = {qkv}}, {.num_heads = 5, .head_width = 8}, {0.1, 0}, input,
                                     {Mode::kTraining, kDraws, &gradients});
  mixed.backward(at::randn(mixed.sizes()));
  return {mixed.detach(), qkv.grad()};
}

void expect_equal(const std::vector<at::Tensor>& some, const std::vector<at::Tensor>& others) {
  ASSERT_EQ(some.size(), others.size());
  for (std::size_t i = 0; i < some.size(); ++i) EXPECT_TRUE(at::equal(some[i], others[i])) << "result " << i;
}

TEST(Kernels, GiveTheSameBitsOnOneAndTwoThreads) {
  for (const auto highest : {base::InstructionSet::kAvx512Bf16, base::InstructionSet::kAvx2}) {
    const base::InstructionLimit limit(highest);
    at::set_num_threads(1);
    const auto elementwise = elementwise_kernels(), attention = attention_kernels();
    at::set_num_threads(2);
    ASSERT_EQ(at::get_num_threads(), 2);

    expect_equal(elementwise, elementwise_kernels());
    expect_equal(attention, attention_kernels());
    at::set_num_threads(1);
  }
}

TEST(Kernels, GiveTheSameBitsWithEveryInstructionSet) {
  const auto fastest = elementwise_kernels();
  for (const auto highest :
       {base::InstructionSet::kAvx512, base::InstructionSet::kAvx2, base::InstructionSet::kPortable}) {
    SCOPED_TRACE(static_cast<int>(highest));
    const base::InstructionLimit limit(highest);
    ASSERT_LE(base::instruction_set(), highest);

    expect_equal(fastest, elementwise_kernels());
  }
}

TEST(Ops, MakeTheSameBitsButNothingForBackwardOutsideOfTraining) {
  at::manual_seed(4);
  const PackedInput input = pack_for_bits();
  const std::int64_t tokens = input.num_tokens();
  const at::Tensor qkv = at::randn({tokens, 120}), base = at::randn({tokens, 40}), x = at::randn({tokens, 40});
  const at::Tensor gamma = at::randn({40}), beta = at::randn({40});
  const auto attend = [&](Mode mode) {
    const AttentionProblem problem = attention_problem({.query_key_value = {qkv}}, {.num_heads = 5, .head_width = 8},
                                                       {0.1, 0}, input, {mode, kDraws});
    return kernels_for(problem).forward(problem);
  };
  const auto normalise = [&](Mode mode) {
    return norm_forward({.base = base, .x = x, .gamma = gamma, .beta = beta, .mode = mode});
  };

  const AttentionResult attention = attend(Mode::kTraining), rehearsed_attention = attend(Mode::kRehearsal);
  const NormResult norm = normalise(Mode::kTraining), rehearsed_norm = normalise(Mode::kRehearsal);

  EXPECT_TRUE(at::equal(attention.output, rehearsed_attention.output));
  EXPECT_TRUE(attention.log_sum_exp.defined());
  EXPECT_FALSE(rehearsed_attention.log_sum_exp.defined());
  EXPECT_TRUE(at::equal(norm.y, rehearsed_norm.y));
  EXPECT_TRUE(norm.normalized.defined() && norm.rstd.defined());
  EXPECT_FALSE(rehearsed_norm.normalized.defined() || rehearsed_norm.rstd.defined());
}

TEST(Ops, RefuseWhatTheyCannotCompute) {
  const PackedInput input = pack_of({3, 2});
  PackedInput with_empty_input = input;
  with_empty_input.cu_seqlens = {0, 5, 5};
  const ParameterView table{0, at::zeros({17, 4}), {}, false, 0, 17}, vector{1, at::zeros({4}), {}};
  PackedInput unknown_token = input;
  unknown_token.token_ids = at::full({5}, 17, at::kLong);

  EXPECT_THROW(pool_mean(at::zeros({5, 4}), with_empty_input), std::invalid_argument);
  EXPECT_THROW(pool_cls(at::zeros({5, 4}), with_empty_input), std::invalid_argument);
  EXPECT_THROW(embed(unknown_token, {table, table, table}, {vector, vector, kEpsilon}, {}, {}), std::invalid_argument);
}

}  // namespace
}  // namespace meshfold::models::ops
