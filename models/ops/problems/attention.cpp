#include "models/ops/problems/attention.hpp"

#include <ATen/Functions.h>

#include <cmath>
#include <iterator>
#include <stdexcept>
#include <string>

#include "models/context/operand_types.hpp"

namespace meshfold::models::ops {
namespace {

[[noreturn]] void refuse(const std::string& problem) { throw std::invalid_argument("attention: " + problem); }

std::string heads_in_words(const AttentionConfig& config) {
  std::string words = std::to_string(config.num_heads) + " heads of " + std::to_string(config.head_width) + " columns";
  if (config.kv_heads() == config.num_heads) return words;
  return words + " and " + std::to_string(config.kv_heads()) + " key/value heads";
}

[[noreturn]] void refuse_columns(const AttentionInputs& inputs, const AttentionConfig& config) {
  std::string columns;
  for (const at::Tensor& rows : inputs.query_key_value) {
    columns += (columns.empty() ? "" : " and ") + std::to_string(rows.size(1));
  }
  refuse("rows of " + columns + " columns are not query, key and value of " + heads_in_words(config));
}

void check_config(const AttentionConfig& config) {
  if (config.num_heads < 1 || config.head_width < 1 || config.num_kv_heads < 0 ||
      config.num_heads % config.kv_heads() != 0) {
    refuse("there cannot be " + heads_in_words(config));
  }
  if (config.mask == AttentionMask::kWindow && config.window < 1) {
    refuse("a window of " + std::to_string(config.window) + " keys shows a query nothing");
  }
  if (!(config.soft_cap >= 0.0)) refuse("scores cannot be capped at " + std::to_string(config.soft_cap));
}

void check_types(const AttentionInputs& inputs) {
  if (inputs.query_key_value.empty()) refuse("query, key and value are missing");
  const at::ScalarType type = inputs.query_key_value.front().scalar_type();
  check_operands(type, "attention");
  for (const at::Tensor& rows : inputs.query_key_value) {
    if (rows.scalar_type() != type) refuse("query, key and value are of different types");
  }
  if (inputs.positions.defined() && inputs.positions.scalar_type() != type) {
    refuse("positions must be in the type of query, key and value");
  }
}

/// The columns are right: operands_of() has found them.
void check_rows(const AttentionProblem& problem) {
  const auto& [query, key, value, position_query, position_key] = problem.operands;
  const PackedInput& input = problem.input;
  const bool first = problem.config.queries == QueryRows::kFirst;
  for (std::int64_t s = 0; first && s < input.num_inputs(); ++s) {
    if (input.cu_seqlens[s + 1] <= input.cu_seqlens[s]) refuse("an input has no token, hence no first one");
  }
  const std::int64_t num_queries = first ? input.num_inputs() : input.num_tokens();
  if (query.size(0) != num_queries || key.size(0) != input.num_tokens() || value.size(0) != input.num_tokens()) {
    refuse("there are " + std::to_string(query.size(0)) + " queries, " + std::to_string(key.size(0)) + " keys and " +
           std::to_string(value.size(0)) + " values for " + std::to_string(num_queries) + " queries of " +
           std::to_string(input.num_tokens()) + " tokens");
  }
  if (!problem.slots) return;
  const std::int64_t active = first ? problem.slots->count_of_first_query() : problem.slots->count();
  const at::Tensor& positions = position_query.defined() ? position_query : position_key;
  if (positions.size(0) != active) {
    refuse("positions must be those of the " + std::to_string(active) + " slots that the pack touches, not " +
           std::to_string(positions.size(0)));
  }
}

/// In fp32, where the caller does not say otherwise.
float scale_of(const AttentionConfig& config) {
  if (config.scale) return static_cast<float>(*config.scale);
  return 1.0F / std::sqrt(static_cast<float>(config.head_width));
}

AttentionInputs without_graph(const AttentionInputs& inputs) {
  AttentionInputs result;
  for (const at::Tensor& rows : inputs.query_key_value) {
    result.query_key_value.push_back(rows.detach().contiguous());
  }
  if (inputs.positions.defined()) result.positions = inputs.positions.detach().contiguous();
  return result;
}

}  // namespace

AttentionOperands operands_of(const AttentionInputs& inputs, const AttentionConfig& config) {
  const std::int64_t width = config.num_heads * config.head_width, kv_width = config.kv_heads() * config.head_width;
  const std::int64_t widths[] = {width, kv_width, kv_width};
  std::vector<at::Tensor> parts;
  for (const at::Tensor& rows : inputs.query_key_value) {
    std::int64_t column = 0;
    while (parts.size() < std::size(widths) && column + widths[parts.size()] <= rows.size(1)) {
      const std::int64_t part_width = widths[parts.size()];
      parts.push_back(rows.narrow(1, column, part_width));
      column += part_width;
    }
    if (column != rows.size(1)) refuse_columns(inputs, config);
  }
  if (parts.size() != std::size(widths)) refuse_columns(inputs, config);
  AttentionOperands result{
      .query = parts[0], .key = parts[1], .value = parts[2], .position_query = {}, .position_key = {}};
  const std::int64_t sides = (config.position_to_content ? 1 : 0) + (config.content_to_position ? 1 : 0);
  const std::int64_t given = inputs.positions.defined() ? inputs.positions.size(1) : 0;
  if (given != sides * width) {
    refuse("rows of " + std::to_string(given) + " columns are not the positions of " + std::to_string(sides) +
           " terms of " + heads_in_words(config));
  }
  if (config.position_to_content) result.position_query = inputs.positions.narrow(1, 0, width);
  if (config.content_to_position) result.position_key = inputs.positions.narrow(1, given - width, width);
  return result;
}

AttentionProblem attention_problem(const AttentionInputs& inputs, const AttentionConfig& config,
                                   const DropoutSite& dropout, const PackedInput& input,
                                   const ForwardContext& context) {
  check_config(config);
  check_types(inputs);
  const AttentionInputs saved = without_graph(inputs);
  AttentionProblem problem{.config = config,
                           .inputs = saved,
                           .operands = operands_of(saved, config),
                           .scale = scale_of(config),
                           .slots = {},
                           .dropout = {base::DrawPurpose::kAttentionDropout, dropout, context},
                           .input = input,
                           .mode = context.mode};
  if (config.has_positions()) problem.slots.emplace(config.buckets, longest_input(input));
  check_rows(problem);
  return problem;
}

AttentionResult empty_result(const AttentionProblem& problem) {
  const AttentionConfig& config = problem.config;
  const at::TensorOptions options = problem.operands.query.options();
  AttentionResult result;
  result.output = at::empty({problem.num_queries(), config.num_heads * config.head_width}, options);
  if (problem.mode == Mode::kTraining) {
    result.log_sum_exp = at::empty({config.num_heads, problem.num_queries()}, options.dtype(at::kFloat));
  }
  return result;
}

}  // namespace meshfold::models::ops
