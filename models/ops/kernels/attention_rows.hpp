#pragma once

#include "models/ops/kernels/strided_rows.hpp"
#include "models/ops/problems/attention.hpp"

namespace meshfold::models::ops {

/// AttentionOperands in host memory: of a problem <const T, const T>, of its gradients <T, float>.
template <typename T, typename Position>
struct OperandRows {
  explicit OperandRows(const AttentionOperands& operands)
      : query(rows_of<T>(operands.query)),
        key(rows_of<T>(operands.key)),
        value(rows_of<T>(operands.value)),
        position_query(rows_of<Position>(operands.position_query)),
        position_key(rows_of<Position>(operands.position_key)) {}

  /// The columns of one head, all of one width.
  OperandRows of_head(std::int64_t head, std::int64_t width) const {
    OperandRows result = *this;
    for (StridedRows<T>* rows : {&result.query, &result.key, &result.value}) *rows = rows->columns_from(head * width);
    for (StridedRows<Position>* rows : {&result.position_query, &result.position_key}) {
      *rows = rows->columns_from(head * width);
    }
    return result;
  }

  StridedRows<T> query, key, value;
  StridedRows<Position> position_query, position_key;
};

}  // namespace meshfold::models::ops
