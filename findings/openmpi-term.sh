#!/usr/bin/env bash
# Guess: mpirun passes TERM on to its ranks, waits until they have put things away, and returns their exit code.
# Seen: it sends CONT at once, TERM a second later and KILL another second later. INT does the same. Its exit code is
#   1 even if a rank left in time with another. USR1 is passed on at once and ends nothing.
# Why it matters: a training step and a checkpoint often take longer than one second, so TERM loses the steps since
#   the last checkpoint; and a scheduler that looks for "requeue me" in the exit code never sees it.
# Instead: ask ranks to stop with USR1, and trap TERM in the batch script to send that. An exit code that a rank chose
#   gets through when nobody signalled mpirun.
. "$(dirname "$0")/common.sh"
need_open_mpi
echo "Open MPI $mpi_version"

mpicc -o rank -x c - <<'C'
#define _GNU_SOURCE
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static long now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Notes when each signal comes, and that it still lives; leaves at TERM with the given code, if that is not -1. */
int main(int argc, char** argv) {
  MPI_Init(&argc, &argv);
  const int watched[] = {SIGTERM, SIGINT, SIGCONT, SIGUSR1};
  sigset_t signals;
  sigemptyset(&signals);
  for (int i = 0; i < 4; ++i) sigaddset(&signals, watched[i]);
  sigprocmask(SIG_BLOCK, &signals, NULL);
  FILE* notes = fopen("notes", "w");
  fprintf(notes, "READY %ld\n", now_ms());
  fflush(notes);
  const int code = atoi(argv[1]);
  for (const long end = now_ms() + 15000; now_ms() < end;) {
    const struct timespec pause = {0, 50 * 1000000};
    const int signal = sigtimedwait(&signals, NULL, &pause);
    fprintf(notes, "%s %ld\n", signal > 0 ? sigabbrev_np(signal) : "alive", now_ms());
    fflush(notes);
    if (signal == SIGTERM && code >= 0) break;
  }
  MPI_Finalize();
  return code;
}
C

start() { # exit code of the rank at TERM, or -1: it goes on
  rm -f notes
  "${mpirun[@]}" -n 1 ./rank "$1" >output 2>&1 &
  launcher=$!
  for _ in $(seq 100); do grep -qs READY notes && return; sleep 0.1; done
  cannot "the rank did not start: $(head -1 output)"
}
send() { # signal; sets $sent, in ms
  sent="$(date +%s%3N)"
  kill -"$1" "$launcher"
}
end() { code=0; wait "$launcher" || code=$?; }
# Half seconds, rounded, from the signal to mpirun until the rank's last note of this kind.
half_seconds() { echo $((($(awk -v kind="$1" '$1 == kind { last = $2 } END { print last }' notes) - sent + 250) / 500)); }

for signal in TERM INT; do
  start -1
  send "$signal"
  end
  expect "signals of the rank after $signal to mpirun" "$(awk '/CONT|TERM|INT|USR1/ { printf "%s%s", separator, $1; separator = " " }' notes)" "CONT TERM"
  expect "half seconds until CONT" "$(half_seconds CONT)" 0
  expect "half seconds until TERM" "$(half_seconds TERM)" 2
  expect "half seconds until the rank's last sign of life" "$(half_seconds alive)" 4
  expect "exit code of mpirun" "$code" 1
done

start 75
send TERM
end
expect "exit code of mpirun when its rank leaves at TERM with 75" "$code" 1

start 75
send USR1
sleep 1
expect "half seconds until USR1" "$(half_seconds USR1)" 0
send TERM
end

code=0
"${mpirun[@]}" -n 1 sh -c 'exit 75' >output 2>&1 || code=$?
expect "exit code of mpirun when its rank leaves unasked with 75" "$code" 75
