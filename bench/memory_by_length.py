#!/usr/bin/env python3
"""Peak memory of whole training steps against the length of the texts: Meshfold beside transformers, each run a process of its own.

    encoder_step_peer.py make deberta-v3-small-long DIRECTORY
    memory_by_length.py encoder_step_bench DIRECTORY

Two series: the same number of tokens a step in fewer and longer texts, and one text that grows. Ours in bf16, with and without recomputed layers;
the peer in bf16 autocast. A run that needs more than the machine's memory is given up and shown as such.
"""
import functools
import os
import pathlib
import re
import resource
import subprocess
import sys

LENGTHS, TOKENS, THREADS = (512, 1024, 2048, 4096), 4096, 2
STEPS = 1  # behind the one that warms up
KEEP_BLOCKS = {"GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"}
PEER = pathlib.Path(__file__).with_name("encoder_step_peer.py")


def available_bytes():
    return int(re.search(r"MemAvailable: +(\d+) kB", pathlib.Path("/proc/meminfo").read_text()).group(1)) * 1024


@functools.cache  # the longest text stands in both series
def peak_gigabytes(*command):
    """None: it did not end well within the memory that is free."""
    limit = available_bytes()
    result = subprocess.run([str(word) for word in command], env=os.environ | KEEP_BLOCKS, capture_output=True, text=True,
                            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    if result.returncode == 0:
        return float(re.search(r"peak ([\d.]+) GB", result.stdout).group(1))
    if any(word in result.stderr.lower() for word in ("memory", "bad_alloc")):
        return None
    raise SystemExit(f"{command}: {result.stderr}")


def measure(program, directory, batches):
    """Peaks by batch, a row a batch: ours, ours with recomputation, the peer."""
    print("| batch | Meshfold | with recomputation | transformers |\n| --- | --- | --- | --- |")
    rows = []
    for batch in batches:
        shape = ("bf16", batch, THREADS, STEPS)
        peaks = [peak_gigabytes(program, directory, *shape), peak_gigabytes(program, directory, *shape, "recompute"),
                 peak_gigabytes(sys.executable, PEER, "step", directory, "autocast", batch, THREADS, STEPS)]
        print(f"| {batch.replace('x', ' x ')} | " + " | ".join("out of memory" if peak is None else f"{peak:.2f} GB" for peak in peaks) + " |", flush=True)
        rows.append(peaks)
    return rows


def main(program, directory):
    measure(program, directory, [f"{TOKENS // length}x{length}" for length in LENGTHS])
    print()
    rows = measure(program, directory, [f"1x{length}" for length in LENGTHS])
    for name, peaks in zip(("Meshfold", "with recomputation", "transformers"), zip(*rows)):
        grown = [None if None in pair else 1e6 * (pair[1] - pair[0]) / (more - length)
                 for pair, length, more in zip(zip(peaks, peaks[1:]), LENGTHS, LENGTHS[1:])]
        print(f"{name}: {', '.join('-' if growth is None else f'{growth:,.0f}' for growth in grown)} kB for each further token, from length to length")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).absolute(), sys.argv[2])
