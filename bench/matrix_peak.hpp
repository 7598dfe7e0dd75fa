#pragma once

/// What the multiply-add units of this CPU reach from registers, measured: the bound for every matrix product.
namespace meshfold::bench {

struct MatrixPeak {
  double fp32;  ///< FLOP/s of `threads` threads
  double bf16;  ///< of dot products of bf16 pairs; 0 where the CPU has none
};

/// Takes about 0.2 s. Best of several, as other work on the machine only slows.
MatrixPeak measure_matrix_peak(int threads);

}  // namespace meshfold::bench
