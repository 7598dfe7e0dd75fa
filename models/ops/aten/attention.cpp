// Shapes: T tokens of the pack, H heads of D columns, K key/value heads, A slots; B inputs of L tokens and Q queries in
// a group or a strip of its queries.
#include "models/ops/aten/attention.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <optional>
#include <vector>

#include "models/ops/aten/input_groups.hpp"
#include "models/ops/aten/slot_sums.hpp"

namespace meshfold::models::ops::aten {
namespace {

/// Scores are held for so many queries of a group at a time.
constexpr std::int64_t kStripQueries = 256;

/// The queries of a group: how many each input has, and their rows.
struct GroupQueries {
  std::int64_t count;
  at::Tensor rows;
};

GroupQueries queries_of(const AttentionProblem& problem, const InputGroup& group) {
  if (problem.config.queries == QueryRows::kFirst) return {1, group.inputs};
  return {group.length, group.tokens};
}

/// fp32 [B, heads, L, D] of a group's rows of [T, heads D], L rows per input.
at::Tensor gather(const at::Tensor& source, const at::Tensor& rows, std::int64_t length, std::int64_t head_width) {
  return source.index_select(0, rows)
      .to(at::kFloat)
      .view({-1, length, source.size(1) / head_width, head_width})
      .transpose(1, 2);
}

/// The other way: writes [B, heads, L, D] to the group's rows of [T, heads D].
void scatter(const at::Tensor& values_BHLD, const at::Tensor& rows, at::Tensor target) {
  const at::Tensor own = values_BHLD.transpose(1, 2).reshape({rows.size(0), target.size(1)});
  target.index_copy_(0, rows, own.to(target.scalar_type()));
}

/// [B, K, L, D] as [B, H, L, D]: neighbouring heads share keys and values.
at::Tensor for_every_head(const at::Tensor& shared_BKLD, const AttentionConfig& config) {
  const std::int64_t heads_per_kv_head = config.num_heads / config.kv_heads();
  return heads_per_kv_head == 1 ? shared_BKLD : shared_BKLD.repeat_interleave(heads_per_kv_head, 1);
}

/// The gradient of for_every_head().
at::Tensor sum_over_sharing(const at::Tensor& gradient_BHLD, const AttentionConfig& config) {
  const std::int64_t kv_heads = config.kv_heads();
  if (kv_heads == config.num_heads) return gradient_BHLD;
  return gradient_BHLD.unflatten(1, {kv_heads, config.num_heads / kv_heads}).sum(2);
}

/// fp32 [H, A, D].
at::Tensor by_head(const at::Tensor& positions, const AttentionConfig& config) {
  if (!positions.defined()) return positions;
  return positions.to(at::kFloat).view({positions.size(0), config.num_heads, config.head_width}).transpose(0, 1);
}

/// A group's operands.
struct GroupOperands {
  at::Tensor query_BHQD, key_BHLD, value_BHLD;
  at::Tensor position_query_HAD, position_key_HAD;
};

GroupOperands operands_of(const AttentionProblem& problem, const InputGroup& group) {
  const AttentionConfig& config = problem.config;
  const AttentionOperands& all = problem.operands;
  const GroupQueries queries = queries_of(problem, group);
  const auto of_tokens = [&](const at::Tensor& source) {
    return for_every_head(gather(source, group.tokens, group.length, config.head_width), config);
  };
  return {gather(all.query, queries.rows, queries.count, config.head_width), of_tokens(all.key), of_tokens(all.value),
          by_head(all.position_query, config), by_head(all.position_key, config)};
}

/// Scores of a strip [B, H, Q, L] as the softmax takes them: what the mask hides is minus infinity.
struct Scores {
  at::Tensor values;
  at::Tensor tanh;  ///< of the scores over their cap; undefined without
};

/// bool [Q, L]: which keys the mask hides from the queries first .. first + count - 1; undefined: none.
at::Tensor hidden_keys(const AttentionConfig& config, std::int64_t first, std::int64_t count, std::int64_t length,
                       at::Device device) {
  if (config.mask == AttentionMask::kNone) return {};
  const at::TensorOptions options = at::TensorOptions(at::kLong).device(device);
  const at::Tensor distance = at::arange(first, first + count, options).unsqueeze(1) - at::arange(length, options);
  if (config.mask == AttentionMask::kCausal) return distance.lt(0);
  return distance.lt(0).logical_or(distance.ge(config.window));
}

/// Some queries of a group.
class Strip {
 public:
  Strip(const AttentionProblem& problem, const InputGroup& group, std::int64_t first)
      : problem_(problem),
        group_(group),
        first_(first),
        count_(std::min(kStripQueries, queries_of(problem, group).count - first)) {
    const at::Device device = problem.operands.query.device();
    if (problem.slots) slots_.emplace(*problem.slots, group.length, first_, count_, device);
    hidden_QL_ = hidden_keys(problem.config, first_, count_, group.length, device);
  }

  const StripSlots& slots() const { return *slots_; }
  /// Its part of [B, H, Q of all strips, ...].
  at::Tensor of(const at::Tensor& rows) const { return rows.narrow(2, first_, count_); }

  Scores scores(const GroupOperands& x) const {
    const at::Tensor query = of(x.query_BHQD);
    at::Tensor scores = at::matmul(query, x.key_BHLD.transpose(2, 3));
    if (x.position_key_HAD.defined())
      scores = scores + slots_->of_keys(at::matmul(query, x.position_key_HAD.transpose(1, 2)));
    if (x.position_query_HAD.defined())
      scores = scores + slots_->of_queries(at::matmul(x.key_BHLD, x.position_query_HAD.transpose(1, 2)));
    Scores result{scores * problem_.scale, {}};
    const double cap = problem_.config.soft_cap;
    if (cap > 0.0) {
      result.tanh = (result.values / cap).tanh();
      result.values = result.tanh * cap;
    }
    if (hidden_QL_.defined()) {
      result.values = result.values.masked_fill(hidden_QL_, -std::numeric_limits<double>::infinity());
    }
    return result;
  }

  /// [B, H, Q, L] with the multipliers of their places.
  at::Tensor drop(const at::Tensor& values) const {
    if (!problem_.dropout.active()) return values;
    const at::TensorOptions options = group_.philox_rows.options();
    const std::int64_t first_head = problem_.dropout.first_head();
    const at::Tensor head =
        at::arange(first_head, first_head + problem_.config.num_heads, options).bitwise_left_shift(20);
    const at::Tensor places = head.unsqueeze(1).bitwise_or(at::arange(first_, first_ + count_, options));
    return values * problem_.dropout.multipliers(group_.philox_rows.view({-1, 1, 1}), places, group_.length);
  }

 private:
  const AttentionProblem& problem_;
  const InputGroup& group_;
  std::int64_t first_, count_;
  std::optional<StripSlots> slots_;
  at::Tensor hidden_QL_;
};

/// Calls work(strip) for all queries of a group, in order.
template <typename Work>
void for_each_strip(const AttentionProblem& problem, const InputGroup& group, const Work& work) {
  const std::int64_t count = queries_of(problem, group).count;
  for (std::int64_t first = 0; first < count; first += kStripQueries) work(Strip(problem, group, first));
}

/// rows^T x as [H, A, D], summed over inputs and rows: rows [B, H, R, A], x [B, H, R, D].
at::Tensor product_over_inputs(const at::Tensor& rows_BHRA, const at::Tensor& x_BHRD) {
  const auto by_head = [](const at::Tensor& t) { return t.transpose(0, 1).flatten(1, 2); };
  return at::matmul(by_head(rows_BHRA).transpose(1, 2), by_head(x_BHRD));
}

/// The gradient of the scores from that of the probabilities; see softmax_gradient_row of softmax_rows.hpp.
at::Tensor softmax_gradient(const at::Tensor& probabilities, const at::Tensor& gradient) {
  const at::Tensor projection =
      (probabilities * gradient).sum(-1, /*keepdim=*/true) / probabilities.sum(-1, /*keepdim=*/true);
  return probabilities * (gradient - projection);
}

/// The gradient of the scores before their cap.
at::Tensor cap_gradient(const at::Tensor& gradient, const Scores& scores) {
  return scores.tanh.defined() ? gradient * (1 - scores.tanh.square()) : gradient;
}

/// fp32 [H, A, D]; undefined where the problem has no such term.
at::Tensor zeros_by_head(const at::Tensor& gradient, const AttentionConfig& config) {
  if (!gradient.defined()) return gradient;
  return at::zeros({config.num_heads, gradient.size(0), config.head_width}, gradient.options());
}

void write_by_head(const at::Tensor& positions_HAD, at::Tensor gradient) {
  if (gradient.defined()) gradient.copy_(positions_HAD.transpose(0, 1).flatten(1));
}

AttentionResult forward(const AttentionProblem& problem) {
  AttentionResult result = empty_result(problem);
  for (const InputGroup& group : group_by_length(problem.input, problem.operands.query.device())) {
    const GroupOperands x = operands_of(problem, group);
    std::vector<at::Tensor> outputs, statistics;
    for_each_strip(problem, group, [&](const Strip& strip) {
      const at::Tensor scores_BHQL = strip.scores(x).values;
      statistics.push_back(scores_BHQL.logsumexp(-1));
      const at::Tensor probabilities = (scores_BHQL - statistics.back().unsqueeze(-1)).exp();
      outputs.push_back(at::matmul(strip.drop(probabilities), x.value_BHLD));
    });
    const at::Tensor rows = queries_of(problem, group).rows;
    scatter(at::cat(outputs, 2), rows, result.output);
    if (!result.log_sum_exp.defined()) continue;
    result.log_sum_exp.index_copy_(1, rows, at::cat(statistics, 2).transpose(0, 1).flatten(1));
  }
  return result;
}

void backward(const AttentionProblem& problem, const at::Tensor& output_gradient, const at::Tensor& log_sum_exp,
              const AttentionOperands& gradients) {
  const AttentionConfig& config = problem.config;
  const at::Tensor position_query_HAD = zeros_by_head(gradients.position_query, config),
                   position_key_HAD = zeros_by_head(gradients.position_key, config);
  for (const InputGroup& group : group_by_length(problem.input, problem.operands.query.device())) {
    const GroupOperands x = operands_of(problem, group);
    const GroupQueries queries = queries_of(problem, group);
    const at::Tensor dy_BHQD = gather(output_gradient, queries.rows, queries.count, config.head_width);
    const at::Tensor statistics_BHQ =
        log_sum_exp.index_select(1, queries.rows).view({config.num_heads, group.count, queries.count}).transpose(0, 1);
    const at::Tensor dquery = at::zeros_like(x.query_BHQD), dkey = at::zeros_like(x.key_BHLD),
                     dvalue = at::zeros_like(x.value_BHLD);
    for_each_strip(problem, group, [&](const Strip& strip) {
      const at::Tensor query = strip.of(x.query_BHQD), dy = strip.of(dy_BHQD), own_dquery = strip.of(dquery);
      const Scores scores = strip.scores(x);
      const at::Tensor probabilities = (scores.values - strip.of(statistics_BHQ).unsqueeze(-1)).exp();
      dvalue.add_(at::matmul(strip.drop(probabilities).transpose(2, 3), dy));
      const at::Tensor dprobabilities = strip.drop(at::matmul(dy, x.value_BHLD.transpose(2, 3)));
      const at::Tensor dscores_BHQL =
          cap_gradient(softmax_gradient(probabilities, dprobabilities), scores) * problem.scale;
      own_dquery.add_(at::matmul(dscores_BHQL, x.key_BHLD));
      dkey.add_(at::matmul(dscores_BHQL.transpose(2, 3), query));
      if (position_key_HAD.defined()) {
        const at::Tensor of_slots_BHQA =
            strip.slots().sum_over_keys(dscores_BHQL).narrow(3, 0, x.position_key_HAD.size(1));
        own_dquery.add_(at::matmul(of_slots_BHQA, x.position_key_HAD));
        position_key_HAD.add_(product_over_inputs(of_slots_BHQA, query));
      }
      if (position_query_HAD.defined()) {
        const at::Tensor of_slots_BHLA =
            strip.slots().sum_over_queries(dscores_BHQL).narrow(3, 0, x.position_query_HAD.size(1));
        dkey.add_(at::matmul(of_slots_BHLA, x.position_query_HAD));
        position_query_HAD.add_(product_over_inputs(of_slots_BHLA, x.key_BHLD));
      }
    });
    scatter(dquery, queries.rows, gradients.query);
    scatter(sum_over_sharing(dkey, config), group.tokens, gradients.key);
    scatter(sum_over_sharing(dvalue, config), group.tokens, gradients.value);
  }
  write_by_head(position_query_HAD, gradients.position_query);
  write_by_head(position_key_HAD, gradients.position_key);
}

}  // namespace

AttentionKernels attention() { return {forward, backward}; }

}  // namespace meshfold::models::ops::aten
