#!/usr/bin/env python3
"""Meshfold against Hugging Face's Trainer: one epoch of the same model on the same rows with equal batch size and threads, each as a
user starts it, taking turns. Prints samples/s, peak memory, time from process start to the first optimizer step, and the ratios.

  bench/compare_training.py --meshfold build/release/meshfold --table vader.csv --model minilm --targets mean,sd

The peer runs at its best: bf16 autocast or fp32 and eager or SDPA attention, whichever is fastest here (--peer picks one), dynamic
padding with length grouping, and tcmalloc where it is installed. Waits for an idle machine, runs a round again when others used the
cores meanwhile, and reports nothing if that goes on. See trainer_peer.py for what the peer needs.
"""

import argparse
import csv
import itertools
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from quiet_machine import Others, wait_until_idle

HERE = Path(__file__).resolve().parent
TCMALLOC = Path("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4")
MOST_DISTURBANCE = 0.1  # cores that others may use
TRIES = 5


class Disturbed(Exception):
    pass


def cut(table, targets, num_rows, out):
    """The same random rows for both."""
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen = random.Random(7).sample(rows, num_rows)
    with open(out, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["id", "text", *targets], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(chosen)


def run(command, environment, watch=None):
    """(seconds since the epoch at the start, output, peak resident bytes). `watch` is called until it has ended.
    Raises Disturbed, RuntimeError."""
    wait_until_idle()
    with Others() as others, tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        start = time.time()
        process = subprocess.Popen(command, env=environment, stdout=output, stderr=errors)
        while watch and os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            watch()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        for file in (output, errors):
            file.seek(0)
        text = output.read()
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{text}\n{errors.read()}")
    share = others.share(usage.ru_utime + usage.ru_stime)
    if share > MOST_DISTURBANCE:
        raise Disturbed(f"others used {share:.2f} cores during the run")
    return start, text, usage.ru_maxrss * 1024


def measure(start, times, peak, batch_size, num_rows):
    """Samples/s leaves out the first step, which also warms up."""
    done = min(batch_size * len(times), num_rows) - batch_size
    return {"samples/s": done / (times[-1] - times[0]), "first step s": times[0] - start, "peak MiB": peak / 2**20}


def run_meshfold(options, table, scratch):
    directory = scratch / "run"
    shutil.rmtree(directory, ignore_errors=True)
    sets = {"data.train": table, "data.targets": ",".join(options.targets), "model.path": options.model, "training.epochs": 1,
            "training.batch_size": options.batch_size, "tokenizer.max_length": options.max_length, "run.threads": options.threads,
            "precision.compute": options.precision, "log.every_steps": 1, "optimizer.learning_rate": 5e-5}
    command = [options.meshfold, "train", "--run", directory]
    for key, value in sets.items():
        command += ["--set", f"{key}={value}"]
    times, steps = [], directory / "train" / "metrics.jsonl"

    def watch():
        """The time at which each step's line is there."""
        count = steps.read_text().count('"kind":"train"') if steps.exists() else 0
        times.extend([time.time()] * (count - len(times)))
        time.sleep(0.002)

    start, _, peak = run(command, dict(os.environ), watch)
    return measure(start, times, peak, options.batch_size, options.rows)


def run_peer(options, table, precision, attention):
    environment = dict(os.environ, HF_HUB_OFFLINE="1", CUDA_VISIBLE_DEVICES="", OMP_NUM_THREADS=str(options.threads))
    if TCMALLOC.exists():
        environment["LD_PRELOAD"] = str(TCMALLOC)
    command = [options.python, HERE / "trainer_peer.py", "--table", table, "--model", options.model, "--targets", ",".join(options.targets),
               "--batch-size", options.batch_size, "--max-length", options.max_length, "--threads", options.threads, "--precision", precision,
               "--attention", attention]
    start, output, peak = run([str(word) for word in command], environment)
    times = json.loads(output.splitlines()[-1])["times"]
    return measure(start, times, peak, options.batch_size, options.rows)


def undisturbed(what):
    """what(), again while others use the cores."""
    for _ in range(TRIES):
        try:
            return what()
        except Disturbed as error:
            print(f"again: {error}", file=sys.stderr, flush=True)
    sys.exit("no report: others keep using the cores; run this on an idle machine")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--meshfold", required=True)
    parser.add_argument("--table", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--targets", required=True, type=lambda text: text.split(","))
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--precision", default="auto", help="of Meshfold: auto, bf16, fp32")
    parser.add_argument("--peer", default="best", help="best, or one of bf16-sdpa, bf16-eager, fp32-sdpa, fp32-eager")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has transformers")
    options = parser.parse_args()

    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory)
        table = scratch / "train.csv"
        cut(options.table, options.targets, options.rows, table)
        peer = options.peer.split("-")
        if options.peer == "best":
            speeds = {}
            for setting in itertools.product(["bf16", "fp32"], ["sdpa", "eager"]):
                speeds[setting] = undisturbed(lambda: run_peer(options, table, *setting))["samples/s"]
                print(f"peer, {'-'.join(setting)}: {speeds[setting]:.1f} samples/s", flush=True)
            peer = max(speeds, key=speeds.get)
        allocator = "tcmalloc" if TCMALLOC.exists() else "the C library's malloc"
        print(f"{options.rows} rows, batch {options.batch_size}, {options.threads} threads; the peer runs {'-'.join(peer)} with {allocator}")
        rounds = []
        for index in range(options.rounds):
            ours = undisturbed(lambda: run_meshfold(options, table, scratch))
            theirs = undisturbed(lambda: run_peer(options, table, *peer))
            rounds.append((ours, theirs))
            print(f"round {index + 1}: " + "; ".join(f"{key} {ours[key]:.1f} and {theirs[key]:.1f}" for key in ours), flush=True)
    print(f"{'median (least to most)':24} {'Meshfold':>26} {'Trainer':>26} {'ratio':>22}")
    for key in rounds[0][0]:
        ours, theirs = [r[0][key] for r in rounds], [r[1][key] for r in rounds]
        ratios = [a / b if key == "samples/s" else b / a for a, b in zip(ours, theirs)]
        cells = [f"{statistics.median(v):.1f} ({min(v):.1f} to {max(v):.1f})" for v in (ours, theirs)]
        print(f"{key:24} {cells[0]:>26} {cells[1]:>26} {statistics.median(ratios):10.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
