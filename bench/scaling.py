#!/usr/bin/env python3
"""Weak and strong scaling of `meshfold train` over 1, 2 and 4 ranks of one thread each, on the data, pipeline and tensor axes; bytes
sent on each axis beside the formulas of docs/parallelism.md; memory of a rank with and without ZeRO; idle time of real stages.

  bench/scaling.py --build build/release --model bert

Strong: 64 samples a step on any number of ranks. Weak: 32 samples a rank. Ranks are bound to a core each where there are enough cores;
else they take turns, and the line says so: then the efficiency is that of the cores. A setting is measured again when others used the
cores meanwhile. See small_models.py for what it needs.
"""

import argparse
import json
import math
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import small_models
from quiet_machine import Others

CORES = len(os.sched_getaffinity(0))
STEPS = 6  # the first warms up
ROWS = 768
MOST_DISTURBANCE = 0.1  # cores that others may use
TRIES = 3
WHOLE_IN_HEAD = re.compile(r"model/.*(classifier|pooler|pooling)\.")


def mpirun(ranks):
    words = ["mpirun", "-n", str(ranks)]
    if os.geteuid() == 0:
        words.append("--allow-run-as-root")
    return words + (["--map-by", "core", "--bind-to", "core"] if ranks <= CORES else
                    ["--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"])


def cores_used():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def undisturbed(command, prepare=lambda: None):
    """The command's output; once more, after `prepare`, when others used the cores."""
    for _ in range(TRIES):
        prepare()
        before = cores_used()
        with Others() as others:
            result = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if result.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))} failed:\n{result.stdout}\n{result.stderr}")
        share = others.share(cores_used() - before)
        if share <= MOST_DISTURBANCE:
            return result.stdout
        print(f"again: others used {share:.2f} cores", file=sys.stderr, flush=True)
    sys.exit("no report: others keep using the cores; run this on an idle machine")


class Parameters:
    """Elements of the trained model: of cut tensors, of whole ones, and of the whole ones whose gradients are partial over tensor;
    and the blocks of its gradient norm."""

    def __init__(self, run):
        manifest = json.loads(next(run.glob("train/checkpoint-*/manifest.json")).read_text(encoding="utf-8"))
        cut = re.compile(r"(word_embeddings\.weight|(query|key|value|query_proj|key_proj|value_proj)\.(weight|bias)|"
                         r"(attention\.output|intermediate|layer\.\d+\.output)\.dense\.weight|intermediate\.dense\.bias)$")
        self.cut = self.whole = self.partial = self.blocks = 0
        for name, tensor in manifest["tensors"].items():
            if not name.startswith("model/"):
                continue
            size = math.prod(tensor["shape"])
            self.blocks += 1 if len(tensor["shape"]) == 1 else min(64, tensor["shape"][0])
            if cut.search(name):
                self.cut += size
            else:
                self.whole += size
                self.partial += 0 if WHOLE_IN_HEAD.match(name) else size


class Bench:
    def __init__(self, options, scratch):
        self.build, self.kind, self.scratch = Path(options.build), options.model, scratch
        self.table, self.model = small_models.make(scratch, options.model, ROWS)
        self.number = 0

    def train(self, shape, batch, parts, zero=True):
        """One short run on (data, pipeline, tensor) ranks: samples/s, usage a step, tokens a step, parameters."""
        self.number += 1
        run = self.scratch / f"run-{self.number}"
        sets = {"data.train": self.table, "data.targets": "score", "data.cache": self.scratch / "cache", "model.path": self.model,
                "training.max_steps": STEPS, "training.batch_size": batch, "training.parts": parts, "tokenizer.max_length": 128,
                "precision.compute": "fp32", "run.threads": 1, "log.every_steps": 1, "optimizer.learning_rate": 1e-4,
                "mesh.data": shape[0], "mesh.pipeline": shape[1], "mesh.tensor": shape[2], "mesh.shard_optimizer": str(zero).lower()}
        command = [*mpirun(math.prod(shape)), self.build / "meshfold", "train", "--run", run]
        for key, value in sets.items():
            command += ["--set", f"{key}={value}"]
        output = undisturbed(command, lambda: shutil.rmtree(run, ignore_errors=True))
        lines = [json.loads(line) for line in (run / "train/metrics.jsonl").read_text(encoding="utf-8").splitlines()]
        steps = [line for line in lines if line["kind"] == "train"]
        usage = next(line for line in lines if line["kind"] == "usage")
        tokens = statistics.mean(step["tokens_per_s"] / step["samples_per_s"] * batch for step in steps)
        parameters = Parameters(run)
        shutil.rmtree(run)
        longest = int(re.search(r"tokens mean \S+ max (\d+)", output).group(1))
        return {"longest": longest, "speed": statistics.median(step["samples_per_s"] for step in steps[1:]), "usage": usage, "tokens": tokens, "parameters": parameters}

    def formulas(self, shape, measured, parts):
        """MB a step that all ranks send together on each axis, with mesh.shard_optimizer."""
        data, pipeline, tensor = shape
        hidden, layers = small_models.SIZES["hidden_size"], small_models.SIZES["num_hidden_layers"]
        parameters, tokens = measured["parameters"], measured["tokens"]
        stream = 4 * tokens * hidden
        if self.kind == "deberta":  # every pack has a text of the longest kind, and each distance in it has a slot
            stream += 4 * hidden * (2 * measured["longest"] - 1) * parts * tensor
        rows = tokens * hidden * (2 * layers * 2 * (4 + 4) + 8 + 4)
        values = 4 * (parameters.cut + tensor * parameters.whole)
        norm = [math.prod(shape) * summed(8 * tensor * parameters.blocks, ranks) for ranks in shape]
        return [(sent + of_norm) / 1e6 for sent, of_norm in zip(
            (2 * (data - 1) * values, 2 * (pipeline - 1) * stream,
             (tensor - 1) * rows + data * tensor * summed(4 * parameters.partial / data, tensor)), norm)]


def summed(size, ranks):
    """Bytes that a rank sends in an all_reduce: small ones go to every other rank as they are."""
    return size * (ranks - 1) if size < 65536 else 2 * size * (ranks - 1) / ranks


def megabytes(usage, key):
    return sum(rank[key] for rank in usage["ranks"]) / usage["steps"] / 1e6


def in_words(shape):
    axes = [f"{size} {axis}" for size, axis in zip(shape, ("data", "pipeline", "tensor")) if size > 1]
    return " x ".join(axes) or "1 rank"


def print_table(title, header, rows):
    print(f"\n{title}\n\n| {' | '.join(header)} |\n| {' | '.join('---' for _ in header)} |")
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def scaling(bench):
    meshes = [(2, 1, 1), (1, 2, 1), (1, 1, 2), (4, 1, 1), (1, 4, 1), (1, 1, 4), (2, 1, 2)]
    rows, bytes_rows, zero_rows = [], [], []
    alone = {"strong": bench.train((1, 1, 1), 64, 8), "weak": bench.train((1, 1, 1), 32, 4)}
    rows.append(["1 rank", f"{alone['strong']['speed']:.1f}", "", f"{alone['weak']['speed']:.1f}", ""])
    for shape in meshes:
        ranks = math.prod(shape)
        strong = bench.train(shape, 64, 8)
        weak = strong if ranks == 2 else bench.train(shape, 32 * ranks, 4 * ranks)  # on two ranks they are the same
        cells = [in_words(shape) + (" (ranks take turns)" if ranks > CORES else "")]
        for kind, measured in (("strong", strong), ("weak", weak)):
            speed_up = measured["speed"] / alone[kind]["speed"]
            cells += [f"{measured['speed']:.1f}", f"{speed_up:.2f} ({100 * speed_up / min(ranks, CORES):.0f} %)"]
        rows.append(cells)
        expected = bench.formulas(shape, strong, 8)
        measured = [megabytes(strong["usage"], f"sent_{axis}") for axis in ("data", "pipeline", "tensor")]
        bytes_rows.append([in_words(shape), *(f"{m:.2f} / {e:.2f}" if e > 0 else "" for m, e in zip(measured, expected))])
        if shape[1:] == (1, 1):
            without = bench.train(shape, 64, 8, zero=False)
            peaks = [max(rank["step_peak"] for rank in run["usage"]["ranks"]) / 2**20 for run in (without, strong)]
            parameters = strong["parameters"]
            saved = 8 * (parameters.cut + parameters.whole) * (1 - 1 / ranks) / 2**20
            zero_rows.append([in_words(shape), f"{peaks[0]:.1f}", f"{peaks[1]:.1f}", f"{peaks[0] - peaks[1]:.1f} / {saved:.1f}"])
    print_table("Samples/s, times one rank's, and efficiency of the cores", ["mesh", "strong", "", "weak", ""], rows)
    print_table("MB a step that all ranks send together, measured / by formula (strong)", ["mesh", "data", "pipeline", "tensor"], bytes_rows)
    print_table("MiB of tensors of the fullest rank within a step", ["mesh", "shard_optimizer = false", "true", "saved / by formula"], zero_rows)


def stages(bench):
    """Idle time of real stages beside the formula."""
    dataset = next((bench.scratch / "cache").glob("*.h5"))
    for ranks in (2, 4):
        if ranks > CORES:
            print(f"\n{ranks} stages are not measured: there are {CORES} cores")
            continue
        for schedule in ("1f1b", "gpipe"):
            command = [*mpirun(ranks), bench.build / "bench/pipeline_stages_bench", bench.model, dataset]
            for packs in (2, 4, 8, 16):
                print(f"\n{schedule}: " + undisturbed([*command, packs, 6, 5, schedule]).strip())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", required=True, help="the build directory, with MESHFOLD_BENCH=ON")
    parser.add_argument("--model", choices=["bert", "deberta"], default="bert")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="meshfold-scaling-") as directory:
        bench = Bench(options, Path(directory))
        print(f"{options.model}: {small_models.SIZES}, {CORES} cores, one thread a rank", flush=True)
        scaling(bench)
        stages(bench)


if __name__ == "__main__":
    main()
