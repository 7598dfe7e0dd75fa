#!/usr/bin/env bash
# Guess: MPI_Abort(comm, code) makes mpirun fail, with the code or at least with another number than 0.
# Seen: mpirun returns the code's lowest eight bits: MPI_Abort with 256 or 512 ends the job "successfully".
# Why it matters: error numbers of libraries are often larger than 255 or packed into high bits. One of them handed on
#   to MPI_Abort makes a script, a test or a scheduler believe that a broken run is done.
# Instead: hand MPI_Abort only codes of one's own between 1 and 125.
. "$(dirname "$0")/common.sh"
need_open_mpi
echo "Open MPI $mpi_version"

mpicc -o rank -x c - <<'C'
#include <mpi.h>
#include <stdlib.h>

int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  MPI_Abort(MPI_COMM_WORLD, atoi(argv[1]));
}
C

exit_code() {
  local code=0
  "${mpirun[@]}" -n 2 ./rank "$1" >output 2>&1 || code=$?
  echo "$code"
}
expect "exit code of mpirun after MPI_Abort with 3" "$(exit_code 3)" 3
expect "exit code of mpirun after MPI_Abort with 256" "$(exit_code 256)" 0
expect "exit code of mpirun after MPI_Abort with 331" "$(exit_code 331)" 75
