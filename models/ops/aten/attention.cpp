// Shapes: T tokens of the pack, W columns, H heads of D columns, A slots; B inputs of L tokens and Q queries in a group
// or a strip of its queries.
#include "models/ops/aten/attention.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "models/ops/aten/input_groups.hpp"
#include "models/ops/aten/slot_sums.hpp"

namespace meshfold::models::ops::aten {
namespace {

/// Scores are held for so many queries of a group at a time.
constexpr std::int64_t kStripQueries = 256;

struct Sizes {
  std::int64_t width, heads, head_width;
};

Sizes sizes_of(const AttentionProblem& problem) {
  const std::int64_t width = problem.query.size(1);
  return {width, problem.num_heads, width / problem.num_heads};
}

/// The queries of a group: how many each input has, and their rows.
struct GroupQueries {
  std::int64_t count;
  at::Tensor rows;
};

GroupQueries queries_of(const AttentionProblem& problem, const InputGroup& group) {
  if (problem.queries == Rows::kFirst) return {1, group.inputs};
  return {group.length, group.tokens};
}

/// fp32 [parts, B, H, L, D] of a group's rows of [T, parts W], L rows an input.
at::Tensor gather(const at::Tensor& source, const at::Tensor& rows, std::int64_t length, const Sizes& sizes) {
  const std::int64_t parts = source.size(1) / sizes.width;
  return source.index_select(0, rows)
      .to(at::kFloat)
      .view({-1, length, parts, sizes.heads, sizes.head_width})
      .permute({2, 0, 3, 1, 4});
}

/// The other way: writes [parts, B, H, L, D] to the group's rows of [T, parts W].
void scatter(const at::Tensor& parts_PBHLD, const at::Tensor& rows, at::Tensor target) {
  const at::Tensor own = parts_PBHLD.permute({1, 3, 0, 2, 4}).reshape({rows.size(0), target.size(1)});
  target.index_copy_(0, rows, own.to(target.scalar_type()));
}

/// fp32 [H, A, D].
at::Tensor by_head(const at::Tensor& positions, const Sizes& sizes) {
  if (!positions.defined()) return positions;
  return positions.to(at::kFloat).view({positions.size(0), sizes.heads, sizes.head_width}).transpose(0, 1);
}

/// A group's operands.
struct Operands {
  at::Tensor query_BHQD, key_BHLD, value_BHLD;
  at::Tensor position_query_HAD, position_key_HAD;
};

Operands operands_of(const AttentionProblem& problem, const InputGroup& group, const Sizes& sizes) {
  const GroupQueries queries = queries_of(problem, group);
  const at::Tensor key_value = gather(problem.key_value, group.tokens, group.length, sizes);
  return {gather(problem.query, queries.rows, queries.count, sizes)[0], key_value[0], key_value[1],
          by_head(problem.position_query, sizes), by_head(problem.position_key, sizes)};
}

/// Some queries of a group.
class Strip {
 public:
  Strip(const AttentionProblem& problem, const InputGroup& group, std::int64_t first)
      : problem_(problem),
        group_(group),
        first_(first),
        count_(std::min(kStripQueries, queries_of(problem, group).count - first)) {
    if (problem.slots) slots_.emplace(*problem.slots, group.length, first_, count_, problem.query.device());
  }

  const StripSlots& slots() const { return *slots_; }
  /// Its part of [B, H, Q of all strips, ...].
  at::Tensor of(const at::Tensor& rows) const { return rows.narrow(2, first_, count_); }

  /// [B, H, Q, L].
  at::Tensor scores(const Operands& x) const {
    const at::Tensor query = of(x.query_BHQD);
    at::Tensor scores = at::matmul(query, x.key_BHLD.transpose(2, 3));
    if (x.position_key_HAD.defined())
      scores = scores + slots_->of_keys(at::matmul(query, x.position_key_HAD.transpose(1, 2)));
    if (x.position_query_HAD.defined())
      scores = scores + slots_->of_queries(at::matmul(x.key_BHLD, x.position_query_HAD.transpose(1, 2)));
    return scores * problem_.scale;
  }

  /// [B, H, Q, L] with the multipliers of their places.
  at::Tensor drop(const at::Tensor& values) const {
    if (!problem_.dropout->active()) return values;
    const at::TensorOptions options = group_.philox_rows.options();
    const std::int64_t first_head = problem_.dropout->first_head();
    const at::Tensor head = at::arange(first_head, first_head + problem_.num_heads, options).bitwise_left_shift(20);
    const at::Tensor places = head.unsqueeze(1).bitwise_or(at::arange(first_, first_ + count_, options));
    return values * problem_.dropout->multipliers(group_.philox_rows.view({-1, 1, 1}), places, group_.length);
  }

 private:
  const AttentionProblem& problem_;
  const InputGroup& group_;
  std::int64_t first_, count_;
  std::optional<StripSlots> slots_;
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

/// [H, A, D] as [A, W].
at::Tensor side_by_side(const at::Tensor& positions_HAD) { return positions_HAD.transpose(0, 1).flatten(1); }

}  // namespace

AttentionResult attention_forward(const AttentionProblem& problem) {
  const Sizes sizes = sizes_of(problem);
  AttentionResult result{at::empty(problem.query.sizes(), problem.query.options()),
                         at::empty({sizes.heads, problem.query.size(0)}, problem.query.options().dtype(at::kFloat))};
  for (const InputGroup& group : group_by_length(*problem.input, problem.query.device())) {
    const Operands x = operands_of(problem, group, sizes);
    std::vector<at::Tensor> outputs, statistics;
    for_each_strip(problem, group, [&](const Strip& strip) {
      const at::Tensor scores_BHQL = strip.scores(x);
      statistics.push_back(scores_BHQL.logsumexp(-1));
      const at::Tensor probabilities = (scores_BHQL - statistics.back().unsqueeze(-1)).exp();
      outputs.push_back(at::matmul(strip.drop(probabilities), x.value_BHLD));
    });
    const at::Tensor rows = queries_of(problem, group).rows;
    scatter(at::cat(outputs, 2).unsqueeze(0), rows, result.output);
    result.log_sum_exp.index_copy_(1, rows, at::cat(statistics, 2).transpose(0, 1).flatten(1));
  }
  return result;
}

AttentionGradients attention_backward(const AttentionProblem& problem, const at::Tensor& output_gradient,
                                      const at::Tensor& log_sum_exp) {
  const Sizes sizes = sizes_of(problem);
  AttentionGradients result{at::empty(problem.query.sizes(), problem.query.options()),
                            at::empty(problem.key_value.sizes(), problem.key_value.options()),
                            {},
                            {}};
  at::Tensor position_query_HAD, position_key_HAD;
  const auto zeros_by_head = [&](const at::Tensor& positions) {
    return at::zeros({sizes.heads, positions.size(0), sizes.head_width}, log_sum_exp.options());
  };
  if (problem.position_query.defined()) position_query_HAD = zeros_by_head(problem.position_query);
  if (problem.position_key.defined()) position_key_HAD = zeros_by_head(problem.position_key);
  for (const InputGroup& group : group_by_length(*problem.input, problem.query.device())) {
    const Operands x = operands_of(problem, group, sizes);
    const GroupQueries queries = queries_of(problem, group);
    const at::Tensor dy_BHQD = gather(output_gradient, queries.rows, queries.count, sizes)[0];
    const at::Tensor statistics_BHQ =
        log_sum_exp.index_select(1, queries.rows).view({sizes.heads, group.count, queries.count}).transpose(0, 1);
    const at::Tensor dquery = at::zeros_like(x.query_BHQD), dkey = at::zeros_like(x.key_BHLD),
                     dvalue = at::zeros_like(x.value_BHLD);
    for_each_strip(problem, group, [&](const Strip& strip) {
      const at::Tensor query = strip.of(x.query_BHQD), dy = strip.of(dy_BHQD), own_dquery = strip.of(dquery);
      const at::Tensor probabilities = (strip.scores(x) - strip.of(statistics_BHQ).unsqueeze(-1)).exp();
      dvalue.add_(at::matmul(strip.drop(probabilities).transpose(2, 3), dy));
      const at::Tensor dprobabilities = strip.drop(at::matmul(dy, x.value_BHLD.transpose(2, 3)));
      const at::Tensor dscores_BHQL = softmax_gradient(probabilities, dprobabilities) * problem.scale;
      own_dquery.add_(at::matmul(dscores_BHQL, x.key_BHLD));
      dkey.add_(at::matmul(dscores_BHQL.transpose(2, 3), query));
      if (position_key_HAD.defined()) {
        const at::Tensor of_slots_BHQA =
            strip.slots().sum_over_keys(dscores_BHQL).narrow(3, 0, problem.position_key.size(0));
        own_dquery.add_(at::matmul(of_slots_BHQA, x.position_key_HAD));
        position_key_HAD.add_(product_over_inputs(of_slots_BHQA, query));
      }
      if (position_query_HAD.defined()) {
        const at::Tensor of_slots_BHLA =
            strip.slots().sum_over_queries(dscores_BHQL).narrow(3, 0, problem.position_query.size(0));
        dkey.add_(at::matmul(of_slots_BHLA, x.position_query_HAD));
        position_query_HAD.add_(product_over_inputs(of_slots_BHLA, x.key_BHLD));
      }
    });
    scatter(dquery.unsqueeze(0), queries.rows, result.query);
    scatter(at::stack({dkey, dvalue}), group.tokens, result.key_value);
  }
  if (position_query_HAD.defined()) result.position_query = side_by_side(position_query_HAD);
  if (position_key_HAD.defined()) result.position_key = side_by_side(position_key_HAD);
  return result;
}

}  // namespace meshfold::models::ops::aten
