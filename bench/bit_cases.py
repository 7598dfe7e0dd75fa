"""The cases of record_bits.py: short trainings on every mesh, in both precisions, with what follows from them; and what the program counts and
tokenizes. Paths in settings are relative to the scratch folder in which the program runs."""

import functools
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import run_bits
from bit_inputs import TARGETS
from run_bits import without

STOPPED_ON_REQUEST = 75
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
if os.geteuid() == 0:
    MPIRUN.append("--allow-run-as-root")


class ProgramFailed(RuntimeError):
    pass


class Program:
    """The program under test. It runs within one scratch folder and, as the cases are set, with one thread per rank."""

    def __init__(self, path, scratch):
        self.path, self.scratch = Path(path).resolve(), scratch
        self.environment = {key: value for key, value in os.environ.items() if key != "LD_LIBRARY_PATH"} | {"OMP_NUM_THREADS": "1"}

    def start(self, ranks, *words):
        start = [*MPIRUN, "-n", str(ranks)] if ranks > 1 else []
        return subprocess.Popen([*start, self.path, *map(str, words)], cwd=self.scratch, env=self.environment, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process, code=0):
        """The standard output of a process that must end with this code."""
        output, errors = process.communicate()
        if process.returncode != code:
            raise ProgramFailed(f"exit code {process.returncode} instead of {code}: {' '.join(map(str, process.args))}\n{output}{errors}")
        return output

    def run(self, ranks, *words):
        return self.finish(self.start(ranks, *words))


def words_of(settings):
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


@dataclass(frozen=True)
class Inputs:
    """What all other cases begin with. Where this differs they may differ too; only spm.model is the program's own work."""

    def bits(self, program):
        return {"tables": {path.name: run_bits.digest(path.read_bytes()) for path in sorted(program.scratch.glob("*.csv"))},
                "models": {name: run_bits.file_digests(program.scratch / name) for name in ("minilm", "deberta")}}


@dataclass(frozen=True)
class Dataset:
    """Token ids and all else in the dataset file of the training table."""
    settings: dict

    def bits(self, program):
        program.run(1, "tokenize", "--run", "run", *words_of(without(self.settings, {"data.test"})))
        file, = (program.scratch / "run/data").glob("*.h5")
        return run_bits.dataset_bits(file)


@dataclass(frozen=True)
class Plan:
    """Costs and memory as planned, which decide packs and stages."""
    settings: dict

    def bits(self, program):
        return run_bits.plan_bits(program.run(1, "plan", "train", "--run", "run", *words_of(self.settings), "--format", "json"))


@dataclass(frozen=True)
class Training:
    """A run to its end, its model exported, and predictions of both. `begin` leaves a part of the run for it to continue."""
    settings: dict
    ranks: int = 1
    command: str = "train"
    begin: Callable | None = None

    def bits(self, program):
        if self.begin:
            self.begin(program, self)
        words, run = words_of(self.settings), program.scratch / "run"
        program.run(self.ranks, self.command, "--run", "run", *words)
        bits = {"run": run_bits.run_bits(run)}
        program.run(1, "export", "--run", "run", *words, "--set", "export.path=run/exported")
        bits["export"] = run_bits.model_bits(run / "exported")
        program.run(self.ranks, "predict", "--run", "run", *words)
        program.run(1, "predict", "--run", "run/of-export", *words_of(self.settings | ALONE | {"model.path": "run/exported"}))
        return bits | {f"predictions of {whose}": run_bits.text_lines(run / path / "predictions.csv")
                       for whose, path in (("run", ""), ("export", "of-export"))}


def stop_on_request(program, case, after_steps=10):
    """Which step the run stops at depends on the machine's speed; the bits that it ends with may not."""
    metrics = program.scratch / "run/train/metrics.jsonl"
    process = program.start(case.ranks, case.command, "--run", "run", *words_of(case.settings))
    while process.poll() is None and not (metrics.exists() and metrics.read_bytes().count(b"\n") >= after_steps):
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR1)
    program.finish(process, STOPPED_ON_REQUEST)


def begin_on(mesh, program, case):
    """Trains on another mesh of as many ranks, then takes the run back to the checkpoint before its last."""
    program.run(case.ranks, case.command, "--run", "run", *words_of(case.settings | ALONE | mesh | {"checkpoint.keep_last": 2}))
    job = program.scratch / "run/train"
    last = max(job.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))
    shutil.rmtree(last)
    for name in ("done.json", "result.safetensors"):
        (job / name).unlink()


ALONE = {"mesh.data": 1, "mesh.pipeline": 1, "mesh.tensor": 1}
MESHES = {"1 rank": ALONE, "2 data ranks": ALONE | {"mesh.data": 2}, "2 tensor ranks": ALONE | {"mesh.tensor": 2}, "2 stages": ALONE | {"mesh.pipeline": 2}}
# 40 steps of 8 samples in several packs; dropout is that of config.json, 0.1 everywhere.
COMMON = {"data.test": "test.csv", "data.fold": "fold", "training.epochs": 2, "training.batch_size": 8, "training.parts": 4, "run.threads": 1,
          "run.device": "cpu", "log.every_steps": 1, "log.tensorboard": "false"}
MODELS = {
    # The loss couples the samples of a step, so a rank with several packs rehearses.
    "MiniLM": COMMON | {"model.path": "minilm", "data.train": "short.csv", "data.targets": ",".join(TARGETS), "tokenizer.max_length": 64,
                        "loss.kind": "mcrmse"},
    "DeBERTa": COMMON | {"model.path": "deberta", "data.train": "long.csv", "data.targets": "mean,sd", "tokenizer.max_length": 256, "loss.kind": "mse",
                         "optimizer.learning_rate": 2e-3},
}
PRECISIONS = {"fp32": {"precision.compute": "fp32"}, "bf16": {"precision.compute": "bf16"}}
CLASSES = {"data.train": "pairs.csv", "data.test": "test_pairs.csv", "data.targets": "kinder", "model.task": "classification",
           "loss.kind": "cross_entropy", "tokenizer.max_length": 128}


def settings_of(model, precision, mesh):
    return MODELS[model] | PRECISIONS[precision] | MESHES[mesh]


def training(model, precision, mesh, changes=None, begin=None):
    return Training(settings_of(model, precision, mesh) | (changes or {}), ranks=1 if mesh == "1 rank" else 2, begin=begin)


def grid():
    return {f"{model}, {precision}, {mesh}": training(model, precision, mesh) for model in MODELS for precision in PRECISIONS for mesh in MESHES}


def special_trainings():
    """Options that take other paths through a step, a head or an optimizer."""
    return {
        "deterministic, recomputed layers, small buckets, mean pooling": training("DeBERTa", "fp32", "2 data ranks", {
            "training.deterministic": "true", "training.recompute": "layers", "mesh.bucket_mib": 0.05, "model.pooling": "mean"}),
        "packs by tokens, whole optimizer states, rmse, max pooling": training("DeBERTa", "bf16", "2 data ranks", {
            "training.parts": 0, "training.max_tokens_per_pack": 256, "mesh.shard_optimizer": "false", "loss.kind": "rmse", "model.pooling": "max"}),
        "two texts, features, concat_cls, class weights, gpipe": training("DeBERTa", "fp32", "2 stages", CLASSES | {
            "data.texts": "first,second", "data.features": "first_length,second_length", "model.pooling": "concat_cls", "model.pooling_layers": 2,
            "loss.class_weights": "1,2", "loss.label_smoothing": 0.1, "pipeline.schedule": "gpipe"}),
        "pair of segments, attention pooling, SGD, fresh top layer": training("MiniLM", "fp32", "2 tensor ranks", CLASSES | {
            "data.text": "first", "data.text_pair": "second", "model.pooling": "attention", "model.reinit_layers": 1, "optimizer.kind": "sgd",
            "optimizer.learning_rate": 0.05, "schedule.kind": "cosine"}),
        "multi-label, weighted layers, layer decay, frozen layers, dropout samples": training("MiniLM", "bf16", "1 rank", {
            "data.targets": "share_negative,share_neutral,share_positive", "model.task": "multi_label", "loss.kind": "bce",
            "model.pooling": "weighted_layers", "model.pooling_tokens": "mean", "model.dropout_samples": 3, "optimizer.layer_decay": 0.9,
            "freeze.embeddings": "true", "freeze.lower_layers": 2}),
    }


def continued_trainings():
    return {
        "MiniLM, fp32, 2 data ranks, stopped and continued": training("MiniLM", "fp32", "2 data ranks", begin=stop_on_request),
        "DeBERTa, bf16, 2 stages, stopped and continued": training("DeBERTa", "bf16", "2 stages", begin=stop_on_request),
        "DeBERTa, fp32, begun on 2 stages, continued on 2 tensor ranks": training(
            "DeBERTa", "fp32", "2 tensor ranks", begin=functools.partial(begin_on, MESHES["2 stages"])),
    }


def cross_validation():
    """A rank for each fold, so mesh.data is left to the program."""
    settings = without(settings_of("DeBERTa", "fp32", "1 rank"), {"data.fold", "mesh.data"})
    return Training(settings | {"data.group": "doc", "cv.strategy": "group", "cv.folds": 2, "cv.groups": 2}, ranks=2, command="cv")


def all_cases():
    return {
        "tables, models, trained tokenizer": Inputs(),
        "dataset of WordPiece": Dataset(MODELS["MiniLM"]),
        "dataset of SentencePiece": Dataset(MODELS["DeBERTa"]),
        "plan of MiniLM, bf16, 2 tensor ranks": Plan(settings_of("MiniLM", "bf16", "2 tensor ranks")),
        "plan of DeBERTa, fp32, 2 stages": Plan(settings_of("DeBERTa", "fp32", "2 stages")),
    } | grid() | special_trainings() | continued_trainings() | {"cross-validation, 2 folds in 2 groups": cross_validation()}


def record(case, program):
    """The case's bits, made in a scratch folder that holds nothing but what all cases share."""
    shutil.rmtree(program.scratch / "run", ignore_errors=True)
    return json.loads(json.dumps(case.bits(program)))
