#!/usr/bin/env bash
# Guess: the maximum over ranks is NaN if one rank has NaN, or NaN is left out as in fmax; in any case always the
#   same.
# Seen: it depends on which rank has the NaN, and within one call on the element's place in the array: elements that
#   vector code handles answer in the opposite way to the rest. MPI_MIN is the same; MPI_SUM keeps every NaN.
# Why it matters: whoever takes the largest loss or gradient norm of all ranks to see that all are finite overlooks a
#   NaN.
# Instead: reduce a flag (isnan as 0 or 1), or look at a sum.
. "$(dirname "$0")/common.sh"
need_open_mpi
echo "Open MPI $mpi_version"

mpicc -o rank -x c - <<'C'
#include <math.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>

/* rank OP WHO COUNT: rank 0 has ones and rank 1 twos, but rank WHO has NaN; prints how many of COUNT results are NaN. */
int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  int rank;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  const MPI_Op operation = argv[1][0] == 's' ? MPI_SUM : argv[1][1] == 'a' ? MPI_MAX : MPI_MIN;
  const int count = atoi(argv[3]);
  double mine[64], all[64];
  for (int i = 0; i < count; ++i) mine[i] = rank == atoi(argv[2]) ? NAN : rank + 1;
  MPI_Allreduce(mine, all, count, MPI_DOUBLE, operation, MPI_COMM_WORLD);
  int lost = 0;
  for (int i = 0; i < count; ++i) lost += isnan(all[i]) == 0;
  if (rank == 0) printf("%d of %d\n", count - lost, count);
  MPI_Finalize();
  return 0;
}
C

nans() { "${mpirun[@]}" -n 2 ./rank "$@"; }
for operation in max min; do
  expect "MPI_${operation^^}, NaN on rank 0, results that are NaN" "$(nans $operation 0 1)" "1 of 1"
  expect "MPI_${operation^^}, NaN on rank 1, results that are NaN" "$(nans $operation 1 1)" "0 of 1"
done
expect "MPI_SUM, NaN on rank 1, results that are NaN" "$(nans sum 1 1)" "1 of 1"
if ompi_info | grep -q 'MCA op: avx' && grep -qw avx512f /proc/cpuinfo; then
  expect "33 elements, MPI_MAX, NaN on rank 0, results that are NaN" "$(nans max 0 33)" "1 of 33"
  expect "33 elements, MPI_MAX, NaN on rank 1, results that are NaN" "$(nans max 1 33)" "32 of 33"
else
  echo "  33 elements: not shown, Open MPI has no AVX-512 code here"
fi
