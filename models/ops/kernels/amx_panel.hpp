#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/instruction_set.hpp"
#include "models/ops/kernels/amx_block.hpp"

/// A packed panel of the left operand times the packed right operand, its epilogue and prefetches in the shadow of the
/// tiles. Only where the CPU has AVX512-BF16.
namespace meshfold::models::ops::kernels::amx {

/// What pack_left() made: rows first_row .. first_row + rows of the product.
struct LeftPanel {
  const std::byte* tiles;
  std::int64_t first_row, rows;
};

/// What pack_right() made, group after group, and the width of the product.
struct RightOperand {
  const std::byte* tiles;
  std::int64_t columns, steps;

  std::int64_t group_bytes() const { return steps * kGroupColumnTiles * kTileBytes; }
};

/// Groups begin .. end of the right operand.
struct GroupRange {
  std::int64_t begin, end;
};

/// A block's sums on their way through the epilogue.
struct FinishedBlock {
  float* sums = nullptr;
  std::int64_t row = 0, column = 0, rows = 0, columns = 0;
};

/// What is done beside the products of a block: some rows of the epilogue of the block before, the same number of rows
/// of this block's own outputs asked for, and a share of the next right tiles brought to the L2 cache.
template <typename Store>
class WorkBeside {
 public:
  WorkBeside(const Store& store, std::int64_t steps) : store_(store), rows_a_step_((kBlockRows + steps - 1) / steps) {}

  /// From now on these bytes are brought nearer, kLinesAStep cache lines a step.
  void bring(const std::byte* begin, std::int64_t bytes) {
    next_line_ = begin;
    last_line_ = begin + bytes;
  }
  void begin_block(const FinishedBlock& block) {
    own_ = block;
    asked_ = 0;
  }
  MESHFOLD_TARGET_AVX512_BF16 void operator()() {
    for (int line = 0; line < kLinesAStep && next_line_ < last_line_; ++line, next_line_ += kLineBytes) {
      __builtin_prefetch(next_line_, /*for writing=*/0, /*locality, L2=*/2);
    }
    for (std::int64_t i = 0; i < rows_a_step_ && asked_ < own_.rows; ++i, ++asked_) {
      store_.prefetch(own_.row + asked_, own_.column);
    }
    store_rows(rows_a_step_);
  }
  /// The block before is stored to its end, and this one takes its place.
  MESHFOLD_TARGET_AVX512_BF16 void end_block() {
    store_rows(before_.rows);
    before_ = own_;
    stored_ = 0;
    own_ = {};
  }

 private:
  static constexpr int kLinesAStep = 4;

  [[gnu::always_inline]] MESHFOLD_TARGET_AVX512_BF16 void store_rows(std::int64_t count) {
    for (; count > 0 && stored_ < before_.rows; --count, ++stored_) {
      store_(before_.sums + stored_ * kGroupColumns, before_.row + stored_, before_.column, before_.columns);
    }
  }

  Store store_;
  std::int64_t rows_a_step_;
  FinishedBlock before_, own_;
  std::int64_t stored_ = 0, asked_ = 0;
  const std::byte *next_line_ = nullptr, *last_line_ = nullptr;
};

/// Several groups are multiplied with one block of rows before the next block; of longer ones fewer stay in the cache.
inline std::int64_t groups_together(std::int64_t steps) { return steps <= 32 ? 4 : 2; }

/// store(row of sums, row, column, count) for all of panel x the groups. A column's walk depends on its group alone, so
/// bits depend neither on the panel nor on the range of groups.
template <TileFile Tiles, typename Store>
void multiply_panel(Tiles& tiles, const LeftPanel& panel, const RightOperand& right, GroupRange groups,
                    const Store& store) {
  alignas(64) float sums[2][kBlockRows * kGroupColumns];
  int turn = 0;
  WorkBeside<Store> beside(store, right.steps);
  const std::int64_t together = groups_together(right.steps);
  for (std::int64_t first = groups.begin; first < groups.end; first += together) {
    const std::int64_t last = std::min(groups.end, first + together), next = std::min(groups.end, last + together);
    beside.bring(right.tiles + last * right.group_bytes(), (next - last) * right.group_bytes());
    for (std::int64_t row = 0; row < panel.rows; row += kBlockRows) {
      const std::int64_t rows = std::min(kBlockRows, panel.rows - row);
      for (std::int64_t group = first; group < last; ++group) {
        const BlockOperands operands{panel.tiles + row / kTileLines * right.steps * kTileBytes,
                                     right.tiles + group * right.group_bytes(), right.steps,
                                     group % 2 == 0 ? Walk::kForward : Walk::kBackward};
        const std::int64_t column = group * kGroupColumns;
        const FinishedBlock block{sums[turn], panel.first_row + row, column, rows,
                                  std::min(kGroupColumns, right.columns - column)};
        turn = 1 - turn;
        beside.begin_block(block);
        switch (num_row_tiles(rows)) {
          case 1:
            multiply_block<1>(tiles, operands, block.sums, beside);
            break;
          case 2:
            multiply_block<2>(tiles, operands, block.sums, beside);
            break;
          default:
            multiply_block<3>(tiles, operands, block.sums, beside);
        }
        beside.end_block();
      }
    }
  }
  beside.end_block();
}

}  // namespace meshfold::models::ops::kernels::amx
