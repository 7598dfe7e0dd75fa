#!/usr/bin/env bash
# Guess: `wandb sync DIR` uploads the TensorBoard event files in DIR, or it refuses.
# Seen: 0.31.0 says "No runs to sync." and ends with 0, for a directory with event files and for an event file itself.
#   A path that does not exist ends with 2. 0.29.0 still took the event file: it asked for the key to upload with.
# Why it matters: a job that logs event files and syncs them at its end looks healthy, and its curves are nowhere.
# Instead: log through wandb itself, read the events and log them again, or look at TensorBoard's own page.
. "$(dirname "$0")/common.sh"
export HOME="$scratch" WANDB_MODE=offline WANDB_ERROR_REPORTING=false

packages wandb==0.31.0 tensorboard==2.21.0
"$python" - <<'PYTHON'
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

writer = EventFileWriter("events")
for step in range(5):
    writer.add_event(Event(step=step, summary=Summary(value=[Summary.Value(tag="loss", simple_value=1 / (step + 1))])))
writer.close()
PYTHON

"$python" -m wandb --version
sync() {
  local code=0
  "$python" -m wandb sync "$@" >output 2>&1 </dev/null || code=$?
  echo "$(tail -1 output), exit code $code"
}
expect "sync of a directory with an event file" "$(sync events)" "wandb: No runs to sync., exit code 0"
expect "sync of the event file" "$(sync events/events.out.*)" "wandb: No runs to sync., exit code 0"
expect "sync of nothing" "$(sync nowhere | grep -o 'exit code.*')" "exit code 2"
