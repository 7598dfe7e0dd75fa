"""What the end-to-end tests share: real tables, small models, and the real program under mpirun."""

import csv
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

BINARY = Path(os.environ["MESHFOLD_BINARY"])
DATA = Path(os.environ["MESHFOLD_TEST_DATA"])
REPOSITORY = Path(__file__).resolve().parents[2]
TARGETS = ["mean", "sd", "share_negative", "share_neutral", "share_positive", "median"]
MPIRUN = ["mpirun", "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1"]
if os.geteuid() == 0:
    MPIRUN.append("--allow-run-as-root")


def environment():
    # The CUDA toolkit's libraries serve `import torch` in this process; the program finds its own.
    return {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"} | {"OMP_NUM_THREADS": "1"}


def command(ranks, arguments):
    return [*MPIRUN, "-n", str(ranks), str(BINARY), *map(str, arguments)]


def run(ranks, *arguments, timeout=240):
    """Runs the program to its end; never raises on a failure of it."""
    return subprocess.run(command(ranks, arguments), env=environment(), stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=timeout)


def start(ranks, *arguments):
    return subprocess.Popen(command(ranks, arguments), env=environment(), stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)


def rank_processes(run_directory):
    """Process ids of the ranks that work on this run."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0] == bytes(BINARY) and str(run_directory).encode() in words:
            found.append(int(entry.name))
    return sorted(found)


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"not seen within {seconds} s: {what}")


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def json_lines(path):
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def cut_tables(directory, rows, test_rows):
    subprocess.run([sys.executable, REPOSITORY / "scripts/cut_table.py", DATA / "vader.csv", "--out", directory, "--rows", str(rows),
                    "--test-rows", str(test_rows), "--targets", ",".join(TARGETS), "--hide", "n_raters"],
                   check=True, stdout=subprocess.DEVNULL)


def tiny_model(directory, hidden_size=32, layers=2):
    """A BERT with random weights, small enough for hundreds of steps a second, with the real vocabulary. Feed-forward blocks are twice as wide."""
    import shutil
    import torch
    import transformers
    torch.manual_seed(5)
    config = transformers.BertConfig(vocab_size=30522, hidden_size=hidden_size, num_hidden_layers=layers, num_attention_heads=4, intermediate_size=2 * hidden_size,
                                     max_position_embeddings=128)
    transformers.BertModel(config).save_pretrained(directory)
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(DATA / "minilm" / name, directory)


def scratch_directory():
    return tempfile.TemporaryDirectory(prefix="meshfold-test-")


def small_deberta(directory, table, *settings):
    """As a user makes one for examples/essay.ini: our own tokenizer of the table's texts, and random weights around it."""
    with scratch_directory() as trained:
        words = [word for setting in (f"data.train={table}", *settings) for word in ("--set", setting)]
        subprocess.run([BINARY, "train-tokenizer", "--config", REPOSITORY / "examples/essay.ini", "--run", trained, *words], env=environment(),
                       check=True, stdout=subprocess.DEVNULL)
        subprocess.run([sys.executable, REPOSITORY / "scripts/small_deberta.py", "--spm", Path(trained) / "tokenizer/spm.model", "--out", directory],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class EndToEnd(unittest.TestCase):
    """One scratch folder a class, with tables of 240 + 60 real rows and a tiny model."""
    rows, test_rows = 240, 60

    @classmethod
    def setUpClass(cls):
        cls._scratch = scratch_directory()
        cls.scratch = Path(cls._scratch.name)
        cls.tables = cls.scratch / "tables"
        cut_tables(cls.tables, cls.rows, cls.test_rows)
        cls.model = cls.scratch / "tiny"
        tiny_model(cls.model)

    @classmethod
    def tearDownClass(cls):
        cls._scratch.cleanup()

    def settings(self, run_directory, **changes):
        """Arguments of a small regression run; `changes` are keys with __ for the dot, None removes one."""
        keys = {"data.train": self.tables / "train.csv", "data.targets": ",".join(TARGETS), "data.group": "doc", "model.path": self.model,
                "cv.folds": 3, "cv.strategy": "group", "training.epochs": 2, "training.batch_size": 16, "tokenizer.max_length": 64,
                "optimizer.learning_rate": 1e-3, "run.threads": 1, "data.cache": self.scratch / "cache", "precision.compute": "fp32"}
        keys |= {name.replace("__", "."): value for name, value in changes.items()}
        arguments = ["--run", run_directory]
        for key, value in keys.items():
            if value is not None:
                arguments += ["--set", f"{key}={value}"]
        return arguments

    def assert_done(self, result):
        self.assertEqual(result.returncode, 0, f"stdout:\n{result.stdout}\nstderr:\n{result.stderr}")

    def assert_one_line(self, result, code, *words):
        """The failed run said one line of ours, with these words, and ended with this code."""
        self.assertEqual(result.returncode, code, f"stdout:\n{result.stdout}\nstderr:\n{result.stderr}")
        ours = [line for line in result.stderr.splitlines() if line.startswith("meshfold: ")]
        self.assertEqual(len(ours), 1, result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)


def stop_session(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.communicate()
