// Shapes: T tokens of the pack, H columns, D columns of a head, A active slots, L tokens of an input.
#include "models/ops/disentangled_attention.hpp"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/core/grad_mode.h>

#include <array>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>

#include "base/instruction_set.hpp"
#include "models/context/back_end.hpp"
#include "models/ops/aten/attention.hpp"
#include "models/ops/autograd.hpp"
#include "models/ops/kernels/disentangled_head.hpp"
#include "models/ops/kernels/head_rows.hpp"

namespace meshfold::models::ops {
namespace {

/// Inputs are cut into this many shares whatever the number of threads: position gradients are summed input by input
/// within a share, then share by share.
constexpr std::int64_t kShares = 4;

struct Sizes {
  std::int64_t tokens, width, num_heads, head_width, longest, active, position_width;
  float scale;
};

Sizes checked_sizes(const at::Tensor& qkv, const at::Tensor& positions, const DisentangledConfig& config,
                    const PackedInput& input) {
  const std::int64_t width = qkv.size(1) / 3, heads = config.num_heads;
  if (heads <= 0 || qkv.size(1) != 3 * width || width % heads != 0) {
    throw std::invalid_argument("disentangled attention: a row of " + std::to_string(qkv.size(1)) +
                                " is not query, key and value of " + std::to_string(heads) + " heads");
  }
  Sizes sizes{qkv.size(0), width, heads, width / heads, longest_input(input), 0, 0, 0.0F};
  sizes.scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(sizes.head_width * config.num_terms)));
  if (!config.has_positions()) return sizes;
  sizes.active = RelativeSlots(config.buckets, sizes.longest).count();
  sizes.position_width = (config.content_to_position && config.position_to_content ? 2 : 1) * width;
  if (!positions.defined() || positions.sizes() != at::IntArrayRef{sizes.active, sizes.position_width} ||
      positions.scalar_type() != qkv.scalar_type()) {
    throw std::invalid_argument("disentangled attention: positions must be [" + std::to_string(sizes.active) + ", " +
                                std::to_string(sizes.position_width) + "] in the type of query, key and value");
  }
  return sizes;
}

/// First input of each share and the end, near-equal in cost.
std::array<std::int64_t, kShares + 1> cut_into_shares(const PackedInput& input, std::int64_t active) {
  std::vector<std::int64_t> ends;  // of the cumulative cost
  for (std::int64_t s = 0; s < input.num_inputs(); ++s) {
    const std::int64_t length = input.cu_seqlens[s + 1] - input.cu_seqlens[s];
    ends.push_back((ends.empty() ? 0 : ends.back()) + length * (2 * length + active));
  }
  std::array<std::int64_t, kShares + 1> cuts{};
  std::int64_t input_index = 0;
  for (std::int64_t share = 1; share <= kShares; ++share) {
    while (input_index < input.num_inputs()) {
      const std::int64_t begin = input_index == 0 ? 0 : ends[input_index - 1];
      if (share < kShares && kShares * (begin + ends[input_index]) > 2 * share * ends.back()) break;
      ++input_index;
    }
    cuts[share] = input_index;
  }
  return cuts;
}

/// The buffers of one task, reused from input to input.
class Buffers {
 public:
  Buffers(const Sizes& sizes, int num_rows, int num_positions)
      : row_elements_(sizes.longest * sizes.head_width),
        position_elements_(sizes.active * sizes.head_width),
        rows_(num_rows * row_elements_),
        positions_(num_positions * position_elements_) {}

  float* rows(int i) { return rows_.data() + i * row_elements_; }                 ///< [L, D]
  float* positions(int i) { return positions_.data() + i * position_elements_; }  ///< [A, D]
  void clear_positions(int i) { std::fill(positions(i), positions(i) + position_elements_, 0.0F); }

 private:
  std::int64_t row_elements_, position_elements_;
  std::vector<float> rows_, positions_;
};

/// The walk of all heads over each share's inputs.
class Walk {
 public:
  Walk(const Sizes& sizes, const DisentangledConfig& config, const Dropout& dropout, const PackedInput& input)
      : sizes_(sizes), config_(config), dropout_(dropout), input_(input), cuts_(cut_into_shares(input, sizes.active)) {
    if (config.has_positions()) slots_.emplace(config.buckets, sizes.longest);
  }

  const RelativeSlots* slots() const { return slots_ ? &*slots_ : nullptr; }
  bool has_position_query() const { return config_.position_to_content; }
  bool has_position_key() const { return config_.content_to_position; }
  /// Where position_key starts in a row of positions.
  std::int64_t key_offset() const { return config_.position_to_content ? sizes_.width : 0; }

  /// begin_head(head, buffers), on_input(problem, first token, scratch, buffers) for each of the share's inputs, then
  /// end_head(share, head, buffers): in parallel over shares and heads.
  template <typename BeginHead, typename OnInput, typename EndHead>
  void run(HeadScratch::Pass pass, int num_rows, int num_positions, const BeginHead& begin_head,
           const OnInput& on_input, const EndHead& end_head) const {
    at::parallel_for(0, kShares * sizes_.num_heads, 1, [&](std::int64_t begin, std::int64_t end) {
      HeadScratch scratch(sizes_.longest, slots(), pass);
      Buffers buffers(sizes_, num_rows, num_positions);
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t share = i / sizes_.num_heads, head = i % sizes_.num_heads;
        begin_head(head, buffers);
        for (std::int64_t s = cuts_[share]; s < cuts_[share + 1]; ++s) {
          if (input_.cu_seqlens[s + 1] == input_.cu_seqlens[s]) continue;
          on_input(problem_of(s, head, buffers), input_.cu_seqlens[s], scratch, buffers);
        }
        end_head(share, head, buffers);
      }
    });
  }

  /// Rows 0 to 2 hold query, key and value; positions 0 and 1 position_query and position_key.
  HeadProblem problem_of(std::int64_t s, std::int64_t head, Buffers& buffers) const {
    HeadProblem problem;
    problem.length = input_.cu_seqlens[s + 1] - input_.cu_seqlens[s];
    problem.width = sizes_.head_width;
    problem.head = head;
    problem.philox_row = input_.philox_rows[s];
    problem.scale = sizes_.scale;
    problem.slots = slots();
    problem.dropout = &dropout_;
    problem.query = buffers.rows(0);
    problem.key = buffers.rows(1);
    problem.value = buffers.rows(2);
    problem.position_query = config_.position_to_content ? buffers.positions(0) : nullptr;
    problem.position_key = config_.content_to_position ? buffers.positions(1) : nullptr;
    return problem;
  }

  /// Copies one head's query, key and value of an input into the buffers.
  template <typename T>
  void gather_input(const T* qkv, const HeadProblem& problem, std::int64_t first, Buffers& buffers) const {
    const std::int64_t W = sizes_.width, D = sizes_.head_width;
    for (int part = 0; part < 3; ++part)
      gather_rows(qkv + first * 3 * W + part * W + problem.head * D, 3 * W, problem.length, D, buffers.rows(part));
  }

  /// The problem with its operands in bf16 too, where products of such are fast. `output_gradient` may be null.
  template <typename T>
  HeadProblem with_sources(HeadProblem problem, std::int64_t first, const T* qkv, const T* positions,
                           const T* output_gradient) const {
    if constexpr (std::is_same_v<T, at::BFloat16>) {
      const std::int64_t W = sizes_.width, column = problem.head * sizes_.head_width;
      if (!base::has_avx512_bf16() || sizes_.head_width % 2 != 0) return problem;
      const kernels::Bf16Rows rows{qkv + first * 3 * W + column, 3 * W};
      problem.sources = {.query = rows,
                         .key = {rows.data + W, rows.stride},
                         .value = {rows.data + 2 * W, rows.stride},
                         .output_gradient = {},
                         .position_query = {},
                         .position_key = {}};
      if (output_gradient) problem.sources.output_gradient = {output_gradient + first * W + column, W};
      if (problem.position_query) problem.sources.position_query = {positions + column, sizes_.position_width};
      if (problem.position_key) {
        problem.sources.position_key = {positions + key_offset() + column, sizes_.position_width};
      }
    }
    return problem;
  }

  template <typename T>
  void gather_positions(const T* positions, std::int64_t head, Buffers& buffers) const {
    const std::int64_t W = sizes_.position_width, D = sizes_.head_width;
    if (config_.position_to_content) gather_rows(positions + head * D, W, sizes_.active, D, buffers.positions(0));
    if (config_.content_to_position)
      gather_rows(positions + key_offset() + head * D, W, sizes_.active, D, buffers.positions(1));
  }

 private:
  Sizes sizes_;
  DisentangledConfig config_;
  Dropout dropout_;
  const PackedInput& input_;
  std::array<std::int64_t, kShares + 1> cuts_;
  std::optional<RelativeSlots> slots_;
};

template <typename T>
const T* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.const_data_ptr<T>() : nullptr;
}

template <typename T>
AttentionResult forward_typed(const at::Tensor& qkv, const at::Tensor& positions, const Sizes& sizes, const Walk& walk,
                              Mode mode) {
  AttentionResult result{at::empty({sizes.tokens, sizes.width}, qkv.options()), {}};
  float* log_sum_exp = nullptr;
  if (mode == Mode::kTraining) {
    result.log_sum_exp = at::empty({sizes.num_heads, sizes.tokens}, qkv.options().dtype(at::kFloat));
    log_sum_exp = result.log_sum_exp.mutable_data_ptr<float>();
  }
  const T *source = qkv.const_data_ptr<T>(), *position_source = data_or_null<T>(positions);
  T* output = result.output.mutable_data_ptr<T>();
  constexpr int kOutput = 3;
  walk.run(
      HeadScratch::Pass::kForward, 4, 2,
      [&](std::int64_t head, Buffers& buffers) { walk.gather_positions(position_source, head, buffers); },
      [&](const HeadProblem& problem, std::int64_t first, HeadScratch& scratch, Buffers& buffers) {
        walk.gather_input(source, problem, first, buffers);
        head_forward(walk.with_sources(problem, first, source, position_source, static_cast<const T*>(nullptr)),
                     scratch, buffers.rows(kOutput),
                     log_sum_exp ? log_sum_exp + problem.head * sizes.tokens + first : nullptr);
        scatter_rows(buffers.rows(kOutput), problem.length, problem.width,
                     output + first * sizes.width + problem.head * problem.width, sizes.width);
      },
      [](std::int64_t, std::int64_t, Buffers&) {});
  return result;
}

struct InputGradients {
  at::Tensor qkv;        ///< type of qkv
  at::Tensor positions;  ///< type of qkv; undefined without positions
};

template <typename T>
InputGradients backward_typed(const at::Tensor& dy, const at::Tensor& qkv, const at::Tensor& positions,
                              const at::Tensor& log_sum_exp, const Sizes& sizes, const Walk& walk) {
  InputGradients result{at::empty_like(qkv), {}};
  const at::Tensor shares = positions.defined()
                                ? at::empty({kShares, sizes.active, sizes.position_width}, log_sum_exp.options())
                                : at::Tensor();
  float* share_sums = positions.defined() ? shares.mutable_data_ptr<float>() : nullptr;
  const T *source = qkv.const_data_ptr<T>(), *position_source = data_or_null<T>(positions),
          *output_gradient = dy.const_data_ptr<T>();
  const float* statistics = log_sum_exp.const_data_ptr<float>();
  T* target = result.qkv.mutable_data_ptr<T>();
  const std::int64_t W = sizes.width, D = sizes.head_width;
  constexpr int kOutputGradient = 3, kGradient = 4;                    // rows; from kGradient on: query, key, value
  constexpr int kPositionQueryGradient = 2, kPositionKeyGradient = 3;  // positions
  walk.run(
      HeadScratch::Pass::kBackward, 7, 4,
      [&](std::int64_t head, Buffers& buffers) {
        walk.gather_positions(position_source, head, buffers);
        buffers.clear_positions(kPositionQueryGradient);
        buffers.clear_positions(kPositionKeyGradient);
      },
      [&](const HeadProblem& problem, std::int64_t first, HeadScratch& scratch, Buffers& buffers) {
        walk.gather_input(source, problem, first, buffers);
        gather_rows(output_gradient + first * W + problem.head * D, W, problem.length, D,
                    buffers.rows(kOutputGradient));
        head_backward(walk.with_sources(problem, first, source, position_source, output_gradient), scratch,
                      buffers.rows(kOutputGradient), statistics + problem.head * sizes.tokens + first,
                      {buffers.rows(kGradient), buffers.rows(kGradient + 1), buffers.rows(kGradient + 2),
                       buffers.positions(kPositionQueryGradient), buffers.positions(kPositionKeyGradient)});
        for (int part = 0; part < 3; ++part)
          scatter_rows(buffers.rows(kGradient + part), problem.length, D,
                       target + first * 3 * W + part * W + problem.head * D, 3 * W);
      },
      [&](std::int64_t share, std::int64_t head, Buffers& buffers) {
        if (!share_sums) return;
        float* sums = share_sums + share * sizes.active * sizes.position_width + head * D;
        if (walk.has_position_query())
          scatter_rows(buffers.positions(kPositionQueryGradient), sizes.active, D, sums, sizes.position_width);
        if (walk.has_position_key())
          scatter_rows(buffers.positions(kPositionKeyGradient), sizes.active, D, sums + walk.key_offset(),
                       sizes.position_width);
      });
  if (positions.defined()) {
    const at::Tensor total = shares[0].clone();
    for (std::int64_t share = 1; share < kShares; ++share) total.add_(shares[share]);
    result.positions = total.to(positions.scalar_type());
  }
  return result;
}

/// What is the same in forward and backward.
struct Call {
  at::Tensor qkv, positions;  ///< without graph, contiguous; positions undefined where there are none
  DisentangledConfig config;
  Sizes sizes;
  DropoutSite site;
  PackedInput input;
  ForwardContext context;

  Dropout dropout() const { return {base::DrawPurpose::kAttentionDropout, site, context}; }
};

AttentionResult host_forward(const Call& call) {
  const Walk walk(call.sizes, call.config, call.dropout(), call.input);
  return call.qkv.scalar_type() == at::kBFloat16
             ? forward_typed<at::BFloat16>(call.qkv, call.positions, call.sizes, walk, call.context.mode)
             : forward_typed<float>(call.qkv, call.positions, call.sizes, walk, call.context.mode);
}

InputGradients host_backward(const Call& call, const at::Tensor& dy, const at::Tensor& log_sum_exp) {
  const Walk walk(call.sizes, call.config, call.dropout(), call.input);
  return call.qkv.scalar_type() == at::kBFloat16
             ? backward_typed<at::BFloat16>(dy, call.qkv, call.positions, log_sum_exp, call.sizes, walk)
             : backward_typed<float>(dy, call.qkv, call.positions, log_sum_exp, call.sizes, walk);
}

/// use(problem) in the terms of the ATen back end.
template <typename Use>
auto with_problem(const Call& call, const Use& use) {
  const Dropout dropout = call.dropout();
  std::optional<RelativeSlots> slots;
  AttentionProblem problem;
  problem.query = call.qkv.narrow(1, 0, call.sizes.width);
  problem.key_value = call.qkv.narrow(1, call.sizes.width, 2 * call.sizes.width);
  problem.num_heads = call.sizes.num_heads;
  problem.scale = call.sizes.scale;
  problem.dropout = &dropout;
  problem.input = &call.input;
  if (call.positions.defined()) {
    problem.slots = &slots.emplace(call.config.buckets, call.sizes.longest);
    const std::int64_t width = call.sizes.width;
    if (call.config.position_to_content) problem.position_query = call.positions.narrow(1, 0, width);
    if (call.config.content_to_position) {
      problem.position_key = call.positions.narrow(1, call.sizes.position_width - width, width);
    }
  }
  return use(problem);
}

InputGradients aten_backward(const Call& call, const at::Tensor& dy, const at::Tensor& log_sum_exp) {
  return with_problem(call, [&](const AttentionProblem& problem) {
    const AttentionGradients gradients = aten::attention_backward(problem, dy, log_sum_exp);
    const at::Tensor positions = gradients.positions();
    return InputGradients{gradients.query_key_value(),
                          positions.defined() ? positions.to(call.qkv.scalar_type()) : positions};
  });
}

}  // namespace

at::Tensor disentangled_attention(const at::Tensor& qkv, const at::Tensor& positions, const DisentangledConfig& config,
                                  const DropoutSite& site, const PackedInput& input, const ForwardContext& context) {
  const at::NoGradGuard no_graph;  // the block is the graph
  const at::Tensor saved_qkv = qkv.detach().contiguous();
  const at::Tensor saved_positions =
      config.has_positions() && positions.defined() ? positions.detach().contiguous() : at::Tensor();
  const Sizes sizes = checked_sizes(saved_qkv, saved_positions, config, input);
  const Call call{saved_qkv, saved_positions, config, sizes, site, input, context};
  const bool on_host = back_end_of(saved_qkv) == BackEnd::kHost;
  const AttentionResult result = on_host ? host_forward(call) : with_problem(call, aten::attention_forward);
  if (context.mode != Mode::kTraining) return result.output;
  const auto backward = [=, log_sum_exp = result.log_sum_exp](const at::Tensor& dy) -> std::vector<at::Tensor> {
    const at::Tensor gradient = dy.contiguous();
    const InputGradients gradients =
        on_host ? host_backward(call, gradient, log_sum_exp) : aten_backward(call, gradient, log_sum_exp);
    if (!gradients.positions.defined()) return {gradients.qkv};
    return {gradients.qkv, gradients.positions};
  };
  std::vector<at::Tensor> inputs = {qkv};
  if (saved_positions.defined()) inputs.push_back(positions);
  return attach_backward(result.output, inputs, "DisentangledAttentionBackward", backward);
}

}  // namespace meshfold::models::ops
