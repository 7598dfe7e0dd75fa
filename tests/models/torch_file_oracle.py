"""Files that torch.save wrote, beside the same tensors as safetensors, for torch_file_test.cpp.

    torch_file_oracle.py DIRECTORY          writes them
    torch_file_oracle.py DIRECTORY check    runs the conversion command that the test was told for the legacy file
"""

import collections
import os
import pathlib
import shutil
import subprocess
import sys
import zipfile

import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertModel


def state_dict():
    torch.manual_seed(3)
    whole = torch.randn(6, 8)
    tied = torch.nn.Parameter(torch.randn(5, 3))
    tensors = collections.OrderedDict(
        whole=whole, transposed=whole.t(), rows=whole[1:5:2], columns=whole[:, 2:7:3], one=whole[3, 4], windows=whole.view(-1).unfold(0, 4, 4),
        tied=tied, tied_too=tied, half=torch.randn(3, 4).half(), brain=torch.randn(4, 3).bfloat16().t(), double=torch.randn(3).double(),
        long=torch.arange(5) * -1000000007, int=torch.arange(4, dtype=torch.int32), short=torch.arange(3, dtype=torch.int16),
        char=torch.arange(-2, 2, dtype=torch.int8), byte=torch.arange(7, dtype=torch.uint8), flags=torch.arange(5) % 2 == 0,
        eight=torch.randn(4).to(torch.float8_e4m3fn), scalar=torch.tensor(2.5), empty=torch.empty(0, 7), channels=torch.randn(2, 3, 4).permute(2, 0, 1),
        größe=torch.ones(1, 1))
    tensors._metadata = collections.OrderedDict({"": {"version": 1}})
    return tensors


class Caller:
    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def hostile(directory):
    """Each of these would run something, or needs a class, once it is unpickled."""
    marker = str(directory / "was_run")
    contents = {
        "system": {"a": Caller(os.system, "touch " + marker)},
        "eval": {"a": Caller(eval, f"open({marker!r}, 'w')")},
        "module": torch.nn.Linear(2, 3),
        "sparse": {"a": torch.eye(3).to_sparse()},
        "quantized": {"a": torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8)},
        "conjugated": {"a": torch.ones(3, dtype=torch.complex64).conj()},
        "expanded": {"a": torch.ones(1).expand(10**12)},
        "nested": {"model": {"a": torch.ones(1)}},
        "number": {"a": torch.ones(1), "epoch": 3},
        "list": [torch.ones(1)],
    }
    for name, content in contents.items():
        torch.save(content, directory / f"{name}.bin")


def repack(source, target, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.namelist():
            new.writestr(entry, old.read(entry))


def model_directories(directory):
    """One model in each form in which the hub has weights."""
    torch.manual_seed(4)
    config = BertConfig(vocab_size=50, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=20, max_position_embeddings=12)
    model = BertModel(config)
    for name, options in (("safetensors", {}), ("sharded", {"max_shard_size": "6KB"})):
        shutil.rmtree(directory / name, ignore_errors=True)
        model.save_pretrained(directory / name, **options)
    assert (directory / "sharded" / "model.safetensors.index.json").exists()
    for name in ("torch", "sharded_torch"):
        shutil.rmtree(directory / name, ignore_errors=True)
        (directory / name).mkdir()
        config.save_pretrained(directory / name)
    torch.save(model.state_dict(), directory / "torch" / "pytorch_model.bin")
    index = (directory / "sharded" / "model.safetensors.index.json").read_text()
    (directory / "sharded_torch" / "pytorch_model.bin.index.json").write_text(index.replace(".safetensors", ".bin"))
    for shard in (directory / "sharded").glob("*.safetensors"):
        torch.save(load_file(shard), directory / "sharded_torch" / (shard.stem + ".bin"))


def write(directory):
    directory.mkdir(parents=True, exist_ok=True)
    tensors = state_dict()
    torch.save(tensors, directory / "state.bin")
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in tensors.items()}, directory / "state.safetensors")
    torch.save(tensors, directory / "protocol4.bin", pickle_protocol=4)
    legacy = {name: tensor for name, tensor in tensors.items() if name != "eight"}  # the old format had no such type
    torch.save(legacy, directory / "legacy.bin", _use_new_zipfile_serialization=False)
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 3), torch.ones(1, 2)), directory / "script.bin")
    repack(directory / "state.bin", directory / "deflated.bin", zipfile.ZIP_DEFLATED)
    limit, zipfile.ZIP64_LIMIT = zipfile.ZIP64_LIMIT, 20  # as if 20 bytes were 4 GiB
    repack(directory / "state.bin", directory / "zip64.bin")
    zipfile.ZIP64_LIMIT = limit
    torch.load(directory / "zip64.bin", weights_only=True)  # torch reads it too
    hostile(directory)
    model_directories(directory)


def check(directory):
    assert not (directory / "was_run").exists()
    command = (directory / "legacy_message.txt").read_text()
    command = command[command.index('python -c "') + len('python -c "'):].rstrip('"\n')
    folder = directory / "converted"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(directory / "legacy.bin", folder / "pytorch_model.bin")
    subprocess.run([sys.executable, "-c", command], cwd=folder, check=True)
    converted, expected = load_file(folder / "model.safetensors"), load_file(directory / "state.safetensors")
    assert set(converted) == set(expected) - {"eight"}
    for name, actual in converted.items():
        tensor = expected[name]
        assert actual.dtype == tensor.dtype and torch.equal(actual, tensor), name


(check if sys.argv[2:] == ["check"] else write)(pathlib.Path(sys.argv[1]))
