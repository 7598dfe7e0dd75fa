#!/usr/bin/env bash
# Guess: torch takes as many threads as the process has cores, under mpirun too when ranks are not bound.
# Seen: where OMPI_COMM_WORLD_LOCAL_SIZE is set, torch (the MKL inside it) starts with one thread, even if the rank is
#   alone on the machine and may use every core.
# Why it matters: one rank per machine with all of its cores is the usual layout for CPU training, and runs on one
#   core.
# Instead: set threads from the affinity mask, by torch.set_num_threads, at::set_num_threads or OMP_NUM_THREADS.
. "$(dirname "$0")/common.sh"
need_open_mpi
unset OMP_NUM_THREADS MKL_NUM_THREADS OMPI_COMM_WORLD_LOCAL_SIZE
[ "$(nproc)" -gt 1 ] || cannot "there is only one core"

torch_packages 2.11.0
"$python" -W ignore -c 'import torch; print("torch", torch.__version__)'
echo "Open MPI $mpi_version"
more_than_one() { "$@" "$python" -W ignore -c 'import torch; print(torch.get_num_threads() > 1)'; }
expect "more than one thread" "$(more_than_one env)" True
expect "more than one thread with OMPI_COMM_WORLD_LOCAL_SIZE=1" "$(more_than_one env OMPI_COMM_WORLD_LOCAL_SIZE=1)" False
under="$(more_than_one "${mpirun[@]}" -n 1)"
expect "more than one thread as the only rank under mpirun, not bound" "${under%$'\r'}" False
expect "more than one thread with OMP_NUM_THREADS=2 as well" "$(more_than_one env OMPI_COMM_WORLD_LOCAL_SIZE=1 OMP_NUM_THREADS=2)" True
