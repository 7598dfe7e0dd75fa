#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/ops/attention.hpp"
#include "models/parameters/parameter_declaration.hpp"
#include "models/reference/attention_reference.hpp"
#include "models/reference/reference.hpp"

/// What tests of blocks share: each block against its twin in plain operations, in fp64.
namespace meshfold::models::ops {

inline constexpr DrawContext kDraws{.seed = 5, .step = 12, .pass = 1};
inline constexpr double kEpsilon = 1e-12;

/// Keeps each parameter's gradient, by its offset.
class Gradients final : public GradientSink {
 public:
  void add_product(const ParameterView& weight, const at::Tensor& output_gradient, const at::Tensor& input) override {
    add_to(weight, at::mm(output_gradient.to(at::kDouble).t(), input.to(at::kDouble)));
  }
  void add(const ParameterView& parameter, const at::Tensor& gradient) override {
    add_to(parameter, gradient.to(at::kDouble));
  }
  void add_rows(const ParameterView& table, const at::Tensor& indices, const at::Tensor& rows) override {
    add_to(table, at::zeros_like(table.value, at::kDouble).index_add(0, indices, rows.to(at::kDouble)));
  }
  const at::Tensor& of(const ParameterView& parameter) const { return sums_.at(parameter.offset); }

 private:
  void add_to(const ParameterView& parameter, const at::Tensor& gradient) {
    const auto [entry, is_new] = sums_.try_emplace(parameter.offset, gradient);
    if (!is_new) entry->second = entry->second + gradient;
  }
  std::map<std::int64_t, at::Tensor> sums_;
};

struct Setting {
  double dropout;
  at::ScalarType type;
  base::InstructionSet highest;
  BackEnd back_end = BackEnd::kHost;
};

inline std::string name_of(const testing::TestParamInfo<Setting>& entry) {
  const char* const names[] = {"Portable", "Avx2", "Avx512", "Fastest"};
  return std::string(entry.param.type == at::kFloat ? "Fp32" : "Bf16") +
         (entry.param.dropout > 0.0 ? "Dropout" : "Plain") +
         (entry.param.back_end == BackEnd::kAten ? "Aten" : names[static_cast<int>(entry.param.highest)]);
}

inline PackedInput pack_of(const std::vector<std::int64_t>& lengths) {
  PackedInput input{{}, {}, {}, {0}, {}, 1};
  std::vector<at::Tensor> positions;
  for (const std::int64_t length : lengths) {
    positions.push_back(at::arange(length, at::kLong));
    input.philox_rows.push_back(static_cast<std::uint32_t>(1000003 * positions.size()));
    input.cu_seqlens.push_back(static_cast<std::int32_t>(input.cu_seqlens.back() + length));
  }
  input.positions = at::cat(positions);
  input.token_ids = at::randint(17, {input.num_tokens()}, at::kLong);
  input.segments = at::randint(2, {input.num_tokens()}, at::kLong);
  return input;
}

/// Which terms with positions the scores of DeBERTa's attention have.
enum class PositionTerms { kNone, kContentToPosition, kPositionToContent, kBoth };

inline AttentionConfig disentangled(std::int64_t num_heads, std::int64_t head_width, const RelativeBuckets& buckets,
                                    PositionTerms terms) {
  AttentionConfig config{.num_heads = num_heads, .head_width = head_width, .buckets = buckets};
  config.content_to_position = terms == PositionTerms::kContentToPosition || terms == PositionTerms::kBoth;
  config.position_to_content = terms == PositionTerms::kPositionToContent || terms == PositionTerms::kBoth;
  const int num_terms = 1 + config.content_to_position + config.position_to_content;
  config.scale = 1.0 / std::sqrt(static_cast<double>(head_width * num_terms));
  return config;
}

/// Columns of the positions that a problem with H heads of D columns takes.
inline std::int64_t position_width(const AttentionConfig& config) {
  return (config.content_to_position + config.position_to_content) * config.num_heads * config.head_width;
}

class BlockTest : public testing::TestWithParam<Setting> {
 protected:
  void SetUp() override {
    at::manual_seed(21);
    input_ = pack_of({1, 7, 8, 9, 25, 70, 3, 33});
    limit_ = std::make_unique<base::InstructionLimit>(GetParam().highest);
    if (GetParam().back_end == BackEnd::kAten) aten_ = std::make_unique<AtenEverywhere>();
    if (GetParam().highest != base::InstructionSet::kAvx512Bf16 && base::instruction_set() != GetParam().highest) {
      GTEST_SKIP() << "this CPU has no such instructions";
    }
  }

  ForwardContext training() { return {Mode::kTraining, kDraws, &gradients_}; }
  DropoutSite site() const { return {GetParam().dropout, 4}; }
  std::int64_t tokens() const { return input_.num_tokens(); }
  /// Activations in the compute type.
  at::Tensor random(at::IntArrayRef shape) const { return at::randn(shape).to(GetParam().type); }

  ParameterView parameter(const at::Tensor& value) {
    // The values are ones that bf16 holds, so that the twin multiplies the same numbers.
    const at::Tensor master = value.to(at::kBFloat16).to(at::kFloat);
    ParameterView view{next_offset_++, master, master.to(GetParam().type)};
    view.num_rows = master.size(0);
    return view;
  }

  Linear make_linear(std::int64_t out, std::int64_t in, Bias bias = Bias::kYes) {
    return {parameter(at::randn({out, in}) * 0.3), bias == Bias::kYes ? parameter(at::randn({out})) : ParameterView()};
  }
  Norm make_norm(std::int64_t width, Bias bias = Bias::kYes) {
    return {parameter(at::randn({width})), bias == Bias::kYes ? parameter(at::randn({width})) : ParameterView(),
            kEpsilon};
  }
  /// The parameters of a linear or a norm as leaves for its twin.
  struct Twin {
    at::Tensor weight, bias;  ///< bias is undefined where there is none
  };
  template <typename Value>
  static Twin twin_of(const Value& value) {
    return {leaf(value.weight.value), value.bias.defined() ? leaf(value.bias.value) : at::Tensor()};
  }
  template <typename Value>
  void expect_gradients(const Value& value, const Twin& twin, const char* what) const {
    SCOPED_TRACE(what);
    expect_close(gradients_.of(value.weight), twin.weight.grad(), "weight gradient");
    if (value.bias.defined()) expect_close(gradients_.of(value.bias), twin.bias.grad(), "bias gradient");
  }

  static at::Tensor leaf(const at::Tensor& values) { return values.detach().to(at::kDouble).set_requires_grad(true); }
  static at::Tensor input_leaf(const at::Tensor& values) { return values.detach().clone().set_requires_grad(true); }

  std::vector<at::Tensor> attention_masks(std::int64_t num_heads) const {
    if (GetParam().dropout == 0.0) return {};
    return reference::attention_dropout_masks(num_heads, site(), input_, kDraws);
  }

  at::Tensor hidden_mask(std::int64_t width) const {
    return GetParam().dropout > 0.0 ? reference::hidden_dropout_mask(width, site(), input_, kDraws) : at::Tensor();
  }

  void expect_close(const at::Tensor& actual, const at::Tensor& expected, const char* what) const {
    ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
    const double size = expected.norm().item<double>();
    ASSERT_GT(size, 0.0) << what << ": nothing to compare";
    const double bound = GetParam().type == at::kFloat ? 2e-6 : bf16_bound_;
    EXPECT_LE((actual.to(at::kDouble) - expected).norm().item<double>(), bound * size) << what;
  }

  /// Runs both backwards from one random output gradient, after comparing the outputs.
  void compare(const at::Tensor& actual, const at::Tensor& expected) const {
    expect_close(actual.detach(), expected.detach(), "output");
    const at::Tensor dy = at::randn(expected.sizes()).to(at::kBFloat16);
    actual.backward(dy.to(actual.scalar_type()));
    expected.backward(dy.to(at::kDouble));
  }

  PackedInput input_;
  Gradients gradients_;
  std::unique_ptr<base::InstructionLimit> limit_;
  std::unique_ptr<AtenEverywhere> aten_;
  std::int64_t next_offset_ = 0;
  double bf16_bound_ = 1.5e-2;
};

inline constexpr Bias kWithAndWithoutBias[] = {Bias::kYes, Bias::kNo};

/// fp32 and bf16, with and without dropout, on every path of the kernels and in LibTorch operations alone.
inline auto settings() {
  std::vector<Setting> all;
  for (const auto type : {at::kFloat, at::kBFloat16}) {
    for (const double dropout : {0.0, 0.2})
      all.push_back({dropout, type, base::InstructionSet::kPortable, BackEnd::kAten});
  }
  for (const auto highest : {base::InstructionSet::kPortable, base::InstructionSet::kAvx2,
                             base::InstructionSet::kAvx512, base::InstructionSet::kAvx512Bf16}) {
    for (const auto type : {at::kFloat, at::kBFloat16}) {
      for (const double dropout : {0.0, 0.2}) all.push_back({dropout, type, highest});
    }
  }
  return testing::ValuesIn(all);
}

}  // namespace meshfold::models::ops
