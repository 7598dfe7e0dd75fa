#pragma once

#include <cstdint>
#include <vector>

#include "models/context/dropout.hpp"

/// The first query of one input and one head against all keys of the input, in fp32, on one thread. L keys, D columns
/// of the head, P: L rounded up to eight draws of dropout.
namespace meshfold::models::ops {

/// Rows of D columns that lie `stride` elements apart.
template <typename T>
struct StridedRows {
  T* data = nullptr;
  std::int64_t stride = 0;

  T* operator[](std::int64_t row) const { return data + row * stride; }
};

/// T: float or BFloat16.
template <typename T>
struct FirstRowProblem {
  std::int64_t length = 0, width = 0, head = 0;
  std::uint32_t philox_row = 0;
  float scale = 1.0F;                                 ///< on the sum of all three terms
  const Dropout* dropout = nullptr;                   ///< of the probabilities
  const T* query = nullptr;                           ///< [D]
  StridedRows<const T> key, value;                    ///< [L, D]
  StridedRows<const T> position_query, position_key;  ///< [slots, D]; null: the scores lack that term
  const std::int32_t* slots = nullptr;                ///< [L]: of the query and each key; null without positions
};

/// Scratch of one thread.
struct FirstRowScratch {
  FirstRowScratch(std::int64_t longest, std::int64_t width);

  std::vector<float> scores, gradient, multipliers;               ///< [P]
  std::vector<float> query, row, position, output_gradient, sum;  ///< [D padded to whole vectors], the padding zero
};

/// output [D]. `log_sum_exp` may be null: not wanted.
template <typename T>
void first_row_forward(const FirstRowProblem<T>& problem, FirstRowScratch& scratch, T* output, float* log_sum_exp);

/// Where backward puts its results.
template <typename T>
struct FirstRowGradients {
  T* query = nullptr;                               ///< [D]
  StridedRows<T> key, value;                        ///< [L, D]
  StridedRows<float> position_query, position_key;  ///< [slots, D], added to; null where the problem has none
};

/// `output_gradient` [D]; `log_sum_exp` as forward left it. The dropout is drawn again.
template <typename T>
void first_row_backward(const FirstRowProblem<T>& problem, FirstRowScratch& scratch, const T* output_gradient,
                        float log_sum_exp, const FirstRowGradients<T>& gradients);

}  // namespace meshfold::models::ops
