#!/usr/bin/env bash
# Guess: a rank's standard output is a pipe to mpirun, or whatever mpirun's own output is; isatty tells which.
# Seen: mpirun gives every rank a pseudo-terminal, also when its own output goes into a file. isatty(1) is true, the
#   terminal is 0 columns wide, and standard error is no terminal.
# Why it matters: programs that ask isatty write progress bars and colours into a cluster's log files, and what
#   divides by the terminal's width gets 0.
# Instead: ask whether mpirun (the parent process) writes to a terminal, or let an option decide; never trust width 0.
. "$(dirname "$0")/common.sh"
need_open_mpi
echo "Open MPI $mpi_version"

ask='import os, sys; print(sys.stdout.isatty(), sys.stderr.isatty(), *(os.get_terminal_size(1) if sys.stdout.isatty() else ""))'
python3 -c "$ask" >alone 2>errors </dev/null
expect "alone into a file: stdout and stderr are terminals" "$(cat alone)" "False False"
"${mpirun[@]}" -n 1 python3 -c "$ask" >under 2>errors </dev/null
expect "under mpirun into a file: the same, columns, lines" "$(tr -d '\r' <under)" "True False 0 0"

mkdir folder
escapes() { grep -c $'\033' "$1" || true; }
ls -d --color=auto folder >alone
"${mpirun[@]}" -n 1 ls -d --color=auto folder >under
expect "lines with colours from ls --color=auto into a file: alone, under mpirun" "$(escapes alone), $(escapes under)" "0, 1"
