"""Writes a file with Hugging Face safetensors for our reader, or checks the one that our writer made.

    safetensors_oracle.py DIRECTORY          writes DIRECTORY/python.safetensors
    safetensors_oracle.py DIRECTORY check    reads DIRECTORY/ours.safetensors
"""

import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import save_file


def sample_tensors():
    return {
        "bytes": torch.arange(3, dtype=torch.uint8),
        "half": (torch.arange(6.0) / 4).to(torch.float16).view(2, 3),
        "brain": (torch.arange(6.0) / 4 - 1).to(torch.bfloat16).view(3, 2),
        "long": torch.arange(4) * -1000000007,
        "größe/尺寸": torch.arange(24.0).view(2, 3, 4),
        "scalar": torch.tensor(2.5, dtype=torch.float64),
        "flags": (torch.arange(5) % 2).bool(),
        "empty": torch.empty(0, 7),
    }


def main():
    directory = pathlib.Path(sys.argv[1])
    directory.mkdir(parents=True, exist_ok=True)
    if len(sys.argv) == 2:
        save_file(sample_tensors(), directory / "python.safetensors", metadata={"format": "pt"})
        (directory / "ours.safetensors").unlink(missing_ok=True)
        return
    with safe_open(directory / "ours.safetensors", framework="pt") as ours:
        assert ours.metadata() == {"format": "pt"}, ours.metadata()
        assert set(ours.keys()) == set(sample_tensors()), list(ours.keys())
        for name, expected in sample_tensors().items():
            actual = ours.get_tensor(name)
            assert actual.dtype == expected.dtype and torch.equal(actual, expected), name


main()
