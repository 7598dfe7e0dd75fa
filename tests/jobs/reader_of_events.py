"""What TensorBoard reads from the event files that tensorboard_test wrote into DIRECTORY/run/fold-3.

Usage: reader_of_events.py DIRECTORY
"""
import glob
import os
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

directory = os.path.join(sys.argv[1], "run", "fold-3")
events = EventAccumulator(directory, purge_orphaned_data=True)
events.Reload()

scalars = lambda tag: [(event.step, event.value) for event in events.Scalars("fold-3/" + tag)]
near = lambda got, wanted: len(got) == len(wanted) and all(g[0] == w[0] and abs(g[1] - w[1]) < 1e-6 for g, w in zip(got, wanted))
steps = [5, 10, 15, 20, 25]
assert near(scalars("train/loss"), [(step, 1 / step) for step in steps]), scalars("train/loss")  # 99 of the lost attempt is gone
assert near(scalars("train/learning_rate"), [(step, 1e-5 * step) for step in steps])
assert near(scalars("train/grad_norm"), [(step, 2.5) for step in steps])
assert near(scalars("eval/mcrmse"), [(25, 0.5)]), scalars("eval/mcrmse")
assert scalars("eval/rmse/mean")[0][1] != scalars("eval/rmse/mean")[0][1], "not a number stays that"
# Each curve twice: apart for each fold, and under the tag that all folds share, so that they lie over each other.
tags = events.Tags()["scalars"]
assert sorted(tag for tag in tags if not tag.startswith("fold-3/")) == sorted(tag[7:] for tag in tags if tag.startswith("fold-3/")), tags
assert [event.value for event in events.Scalars("train/loss")] == [event.value for event in events.Scalars("fold-3/train/loss")]
text = lambda tag: [event.tensor_proto.string_val[0].decode() for event in events.Tensors("fold-3/" + tag)]
assert text("config") == ["    [run]\n    seed = 42\n    "], text("config")
assert text("notes") == ["resumed from checkpoint-20"]
assert events.SummaryMetadata("fold-3/config").plugin_data.plugin_name == "text"

# The checksums are there for a reason: the same file with one bit flipped is refused.
file = sorted(glob.glob(os.path.join(directory, "events*")))[0]
bytes_ = bytearray(open(file, "rb").read())
whole = len(list(EventFileLoader(file).Load()))
bytes_[len(bytes_) // 2] ^= 4
flipped = os.path.join(sys.argv[1], "flipped.tfevents")
open(flipped, "wb").write(bytes_)
assert len(list(EventFileLoader(flipped).Load())) < whole
print(whole, "events")
