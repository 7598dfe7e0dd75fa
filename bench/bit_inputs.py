"""What the cases of record_bits.py train on: tables cut from real texts, and two models, MiniLM as it is and a small DeBERTa with random weights.
Needs torch, transformers and sentencepiece."""

import csv
import itertools
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
TARGETS = ["mean", "sd", "share_negative", "share_neutral", "share_positive", "median"]
FOLDS = 5  # fold 0 validates
ROWS = 198  # 158 train: 19 whole steps and a short one per epoch
TEST_ROWS = 24
JOINED = 4  # neighbouring rows in one long text


def read_csv(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write_csv(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def with_folds(rows):
    return [row | {"fold": number % FOLDS} for number, row in enumerate(rows)]


def long_text(rows):
    """One row out of neighbours, with the mean of their targets."""
    means = {name: sum(float(row[name]) for row in rows) / len(rows) for name in TARGETS}
    return {"id": rows[0]["id"], "doc": rows[0]["doc"], "text": " ".join(row["text"] for row in rows)} | means


def pair(first, second):
    """Two texts and their lengths; the class, where there are targets, is the kinder of the two."""
    row = {"id": first["id"], "first": first["text"], "second": second["text"], "first_length": len(first["text"]), "second_length": len(second["text"])}
    return row | ({"kinder": "first" if float(first["mean"]) > float(second["mean"]) else "second"} if "mean" in first else {})


def make_tables(data, scratch):
    """short.csv, long.csv and pairs.csv to train on; test.csv and test_pairs.csv to predict."""
    subprocess.run([sys.executable, SCRIPTS / "cut_table.py", data / "vader.csv", "--out", scratch / "cut", "--rows", str(JOINED * ROWS),
                    "--test-rows", str(TEST_ROWS), "--targets", ",".join(TARGETS), "--hide", "n_raters"], check=True, stdout=subprocess.DEVNULL)
    rows, test_rows = read_csv(scratch / "cut/train.csv")[:JOINED * ROWS], read_csv(scratch / "cut/test.csv")
    write_csv(scratch / "short.csv", with_folds(rows[:ROWS]))
    write_csv(scratch / "long.csv", with_folds([long_text(rows[i:i + JOINED]) for i in range(0, len(rows), JOINED)]))
    write_csv(scratch / "pairs.csv", with_folds([pair(*both) for both in zip(rows[:ROWS], rows[ROWS:])]))
    write_csv(scratch / "test.csv", test_rows)
    write_csv(scratch / "test_pairs.csv", [pair(*both) for both in itertools.pairwise(test_rows)])


def make_deberta(program):
    """Random weights around a tokenizer that the program itself trains."""
    program.run(1, "train-tokenizer", "--run", "tokenizer", "--set", "data.train=long.csv", "--set", "tokenizer.vocabulary_size=600")
    subprocess.run([sys.executable, SCRIPTS / "small_deberta.py", "--spm", program.scratch / "tokenizer/tokenizer/spm.model", "--out",
                    program.scratch / "deberta"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def prepare(program, data):
    make_tables(data, program.scratch)
    (program.scratch / "minilm").symlink_to(data.resolve() / "minilm")
    make_deberta(program)
