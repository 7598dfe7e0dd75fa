#!/usr/bin/env bash
# Guess: creating an HDF5 file over one that another process has open is refused, and the refusal changes nothing.
# Seen: it is refused by the file lock, but the file was emptied before the lock was asked for: zero bytes are left,
#   and the process that had it open cannot read it any more. Only within one process is the refusal harmless. HDF5
#   1.10.8, called from C, did the same.
# Why it matters: two jobs that prepare the same data set, or a viewer left open on a results file, destroy it with
#   the very message that seems to have protected it.
# Instead: write to a new name and rename; or create with mode "x" (H5F_ACC_EXCL), which never empties.
. "$(dirname "$0")/common.sh"
unset HDF5_USE_FILE_LOCKING

packages h5py==3.16.0
"$python" - <<'PYTHON'
import os
import subprocess
import sys
import h5py
from expect import expect

print("h5py", h5py.__version__, "with HDF5", h5py.version.hdf5_version)
with h5py.File("data.h5", "w") as file:
    file["values"] = range(1000)
size = os.path.getsize("data.h5")

def create_elsewhere(mode):
    code = f"import h5py\ntry:\n    h5py.File('data.h5', '{mode}')\n    print('created')\nexcept OSError as error:\n    print(error)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip()

reader = h5py.File("data.h5", "r")
try:
    h5py.File("data.h5", "w")
except OSError as error:
    print("  creation in the reader's process:", error)
expect("bytes are all there after it was refused", os.path.getsize("data.h5") == size)
print('  creation with mode "x" in another process:', create_elsewhere("x"))
expect("bytes are all there after that", os.path.getsize("data.h5") == size)
answer = create_elsewhere("w")
print("  creation in another process:", answer)
expect("it was refused by the lock", "unable to lock file" in answer)
expect("bytes left after that", os.path.getsize("data.h5"), 0)
try:
    readable = len(reader["values"]) == 1000
except (KeyError, OSError) as error:
    readable = False
    print("  the reader:", error)
expect("the reader still finds its data", readable, False)
PYTHON
