#!/usr/bin/env python3
"""WordPiece tokenization of one thread: Meshfold beside Hugging Face tokenizers, alternately, on the same texts.

The peer runs at its best: all texts in one encode_batch_fast (no offsets), parallelism off, and its conversion to Python
lists is not counted. Both sides count processor time. Checks that the ids are identical, and prints the ratios.
"""
import argparse
import csv
import os
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer  # noqa: E402  (reads the environment)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", help="tokenization_bench")
    parser.add_argument("table")
    parser.add_argument("model", type=Path)
    parser.add_argument("--column", default="text")
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()

    csv.field_size_limit(1 << 24)
    with open(options.table, encoding="utf-8-sig", newline="") as file:
        texts = [row[options.column] for row in csv.DictReader(file)]
    tokenizer = Tokenizer.from_file(str(options.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(options.max_length)

    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as scratch:
        ids = Path(scratch) / "ids"
        for _ in range(options.rounds):
            result = subprocess.run([options.program, options.table, options.column, options.model, str(options.max_length), ids],
                                    check=True, capture_output=True, text=True)
            ours.append(float(result.stdout))
            start = time.process_time()
            encodings = tokenizer.encode_batch_fast(texts)
            theirs.append(time.process_time() - start)
        for number, (line, encoding) in enumerate(zip(ids.read_text().splitlines(), encodings, strict=True)):
            if [int(word) for word in line.split()] != encoding.ids:
                raise SystemExit(f"text {number} has other ids: {texts[number]!r}")
    ratios = sorted(peer / own for own, peer in zip(ours, theirs))
    print(f"{len(texts)} texts, identical ids; {options.rounds} rounds, medians: Meshfold {len(texts) / statistics.median(ours):,.0f} texts/s, "
          f"tokenizers {len(texts) / statistics.median(theirs):,.0f} texts/s; ratio {statistics.median(ratios):.2f} "
          f"({ratios[0]:.2f} to {ratios[-1]:.2f})")


main()
