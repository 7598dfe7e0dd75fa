// Linears that are cut over the ranks of a tensor axis against their twin in plain operations, in fp64.
#include "models/ops/tensor_parallel.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "dist/communicator.hpp"
#include "dist/mpi_process_group.hpp"
#include "models/context/token_rows.hpp"
#include "tests/models/block_test.hpp"
#include "tests/rank_environment.hpp"

namespace meshfold::models::ops {
namespace {

constexpr std::int64_t kIn = 10, kWide = 24,
                       kTokens = 31;  // 1 to 4 ranks divide the width; 2 to 4 do not divide the tokens

/// Rank r's piece of a whole parameter, cut along `dim`.
ParameterView piece_of(const ParameterView& whole, std::int64_t dim, const dist::ProcessGroup& group) {
  ParameterView piece = whole;
  const std::int64_t extent = whole.value.size(dim) / group.size(), first = extent * group.rank();
  piece.value = whole.value.narrow(dim, first, extent).contiguous();
  piece.compute = piece.value;
  piece.sharded = group.size() > 1;
  piece.first_row = dim == 0 ? first : 0;
  return piece;
}

class TensorParallelLinears : public testing::TestWithParam<Bias> {
 protected:
  TensorParallelLinears() : group_(dist::make_mpi_process_group(tests::rank_environment().world(), "tensor")) {
    at::manual_seed(7);  // the same values on every rank
    input_.cu_seqlens = {0, kTokens};
    context_.mode = Mode::kTraining;
    context_.gradients = &gradients_;
    context_.tensor = group_.get();
    first_ = make(kWide, kIn, 0);
    second_ = make(kIn, kWide, 2);
  }

  static Linear make(std::int64_t out, std::int64_t in, std::int64_t offset) {
    const auto view = [](const at::Tensor& value, std::int64_t at) { return ParameterView{at, value, value}; };
    Linear linear{view(at::randn({out, in}), offset), {}};
    if (GetParam() == Bias::kYes) linear.bias = view(at::randn({out}), offset + 1);
    return linear;
  }
  Linear cut(const Linear& whole, std::int64_t dim) const {
    Linear piece{piece_of(whole.weight, dim, *group_), whole.bias};
    if (dim == 0 && whole.bias.defined()) piece.bias = piece_of(whole.bias, 0, *group_);
    return piece;
  }
  at::Tensor own(const at::Tensor& rows) const {
    const TokenRows mine = token_rows(kTokens, context_);
    return rows.narrow(0, mine.first, mine.count);
  }
  /// The gradient of a whole parameter summed over the ranks, which have parts of the sum.
  at::Tensor over_ranks(const ParameterView& parameter) const {
    const at::Tensor sum = gradients_.of(parameter).to(at::kFloat);
    group_->all_reduce(sum, dist::ReduceOp::kSum)->wait();
    return sum;
  }
  static at::Tensor leaf(const at::Tensor& values) { return values.detach().to(at::kDouble).set_requires_grad(true); }
  static at::Tensor leaf_of(const ParameterView& view) { return view.defined() ? leaf(view.value) : at::Tensor(); }
  static void expect_close(const at::Tensor& actual, const at::Tensor& expected, const char* what) {
    EXPECT_LE((actual.to(at::kDouble) - expected).norm().item<double>(), 2e-6 * expected.norm().item<double>()) << what;
  }

  std::unique_ptr<dist::ProcessGroup> group_;
  PackedInput input_;
  Gradients gradients_;
  ForwardContext context_;
  Linear first_, second_;
};

TEST_P(TensorParallelLinears, EqualTheirTwinInOutputsAndEveryGradient) {
  for (const Activation activation : {Activation::kNone, Activation::kGelu}) {
    SCOPED_TRACE(static_cast<int>(activation));
    gradients_ = {};
    const at::Tensor x = at::randn({kTokens, kIn}), dy = at::randn({kTokens, kIn});
    const Linear first = cut(first_, 0), second = cut(second_, 1);
    const at::Tensor own_x = own(x).clone().set_requires_grad(true), x_twin = leaf(x);
    const at::Tensor w1 = leaf_of(first_.weight), b1 = leaf_of(first_.bias), w2 = leaf_of(second_.weight),
                     b2 = leaf_of(second_.bias);

    at::Tensor y;
    if (activation == Activation::kNone) {
      y = row_parallel_linear(column_parallel_linear(own_x, first, input_, context_), second, input_, context_);
    } else {
      y = row_parallel_linear(column_parallel_linear(own_x, first, activation, input_, context_), second, input_,
                              context_);
    }
    y.backward(own(dy));

    const at::Tensor expected =
        reference::linear(reference::linear(x_twin, w1, b1, activation), w2, b2, Activation::kNone);
    expected.backward(dy.to(at::kDouble));
    expect_close(y.detach(), own(expected.detach()), "output");
    expect_close(own_x.grad(), own(x_twin.grad()), "input gradient");
    const std::int64_t width = kWide / group_->size(), begin = width * group_->rank();
    expect_close(gradients_.of(first.weight), w1.grad().narrow(0, begin, width), "first weight's gradient");
    expect_close(gradients_.of(second.weight), w2.grad().narrow(1, begin, width), "second weight's gradient");
    if (!b1.defined()) continue;
    expect_close(gradients_.of(first.bias), b1.grad().narrow(0, begin, width), "first bias' gradient");
    expect_close(over_ranks(second.bias), b2.grad(), "second bias' gradient");
  }
}

INSTANTIATE_TEST_SUITE_P(Bias, TensorParallelLinears, testing::Values(Bias::kYes, Bias::kNo),
                         [](const auto& entry) { return entry.param == Bias::kYes ? "Yes" : "No"; });

}  // namespace
}  // namespace meshfold::models::ops
