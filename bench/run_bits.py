"""What the files of a run hold, as values that can be compared: numbers and short texts as they are, tensors and other bytes by a digest.
Times, speeds, paths and sizes of processes are left out. Formats: docs/file-formats.md. Needs h5py."""

import hashlib
import json
import math
import struct
from pathlib import Path

import h5py

TIMINGS = {"time", "seconds", "tokens_per_s", "samples_per_s"}
# What identifies a run to itself: hashes over settings and tables, which the dataset's own bits tell apart better.
IDENTITY = {"config_hash", "data_hash"}


def digest(data):
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def without(record, keys):
    return {key: value for key, value in record.items() if key not in keys}


def text_lines(path):
    """Lines with their ends, so that a missing line feed is a difference too."""
    return Path(path).read_bytes().decode("utf-8").splitlines(keepends=True)


def file_digests(directory):
    return {str(path.relative_to(directory)): digest(path.read_bytes()) for path in sorted(directory.rglob("*")) if path.is_file()}


def safetensors_bits(path):
    data = memoryview(path.read_bytes())
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(bytes(data[8:end]))
    metadata = header.pop("__metadata__", {})
    tensors = {name: [entry["dtype"], entry["shape"], digest(data[end:][slice(*entry["data_offsets"])])] for name, entry in sorted(header.items())}
    return {"metadata": metadata, "tensors": tensors}


def metrics_bits(path):
    """Every step and evaluation in order; numbers are printed so that they read back as the same fp64."""
    records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [without(record, TIMINGS) for record in records if record["kind"] in ("train", "eval")]


def checkpoint_bits(directory):
    """Values by box, in the model's coordinates: which shard holds a box and where is left out."""
    manifest = json.loads((directory / "manifest.json").read_text(encoding="utf-8"))
    shards = {name: memoryview((directory / name).read_bytes()) for name in manifest["files"]}
    tensors = {}
    for name, tensor in sorted(manifest["tensors"].items()):
        boxes = {f"{piece['start']}+{piece['extent']}": digest(shards[piece["file"]][slice(*piece["bytes"])]) for piece in tensor["pieces"]}
        tensors[name] = {"dtype": tensor["dtype"], "shape": tensor["shape"], "boxes": dict(sorted(boxes.items()))}
    return {"state": without(manifest["state"], TIMINGS | IDENTITY), "tensors": tensors}


def job_bits(directory):
    return {"steps": metrics_bits(directory / "metrics.jsonl"),
            "checkpoints": {path.name: checkpoint_bits(path) for path in sorted(directory.glob("checkpoint-*"))},
            "result": safetensors_bits(directory / "result.safetensors")}


def run_bits(directory):
    """A finished run of `train` or `cv`: its jobs and the tables it wrote."""
    return {"jobs": {path.parent.name: job_bits(path.parent) for path in sorted(directory.glob("*/done.json"))},
            "tables": {path.name: text_lines(path) for path in sorted(directory.glob("*.csv"))}}


def model_bits(directory):
    """A model directory: the weights by tensor, then every file by its bytes."""
    return {"config": text_lines(directory / "config.json"), "weights": safetensors_bits(directory / "model.safetensors"),
            "files": file_digests(directory)}


def dataset_bits(path):
    """A dataset file: its columns (token ids first of all), then its attributes, among them the hash that names it."""
    with h5py.File(path) as file:
        columns = {name: [str(column.dtype), list(column.shape), digest(column[()].tobytes())] for name, column in sorted(file.items())}
        attributes = {name: value.decode() if isinstance(value, bytes) else str(value) for name, value in sorted(file.attrs.items())}
    return {"columns": columns, "attributes": attributes}


def plan_bits(text):
    """What `plan --format json` counts. Its sentences name paths and times."""
    return without(json.loads(text), {"model", "training_data", "counted_from"})


def is_equal(one, other):
    """Numbers must be equal as they are: not 1 and 1.0, nor 0.0 and -0.0."""
    if type(one) is not type(other) or one != other:
        return False
    return not isinstance(one, float) or math.copysign(1, one) == math.copysign(1, other)


def differences(old, new, place=""):
    """(place, old, new) of everything that is not equal, in the order in which it was recorded."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if key in old and key in new:
                yield from differences(old[key], new[key], f"{place} / {key}" if place else key)
            else:
                yield f"{place} / {key}" if place else key, *("there" if key in side else "not there" for side in (old, new))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new)):
            yield from differences(*pair, f"{place}[{index}]")
    elif isinstance(old, list) and isinstance(new, list):
        yield place, f"{len(old)} entries", f"{len(new)} entries"
    elif not is_equal(old, new):
        yield place, old, new
