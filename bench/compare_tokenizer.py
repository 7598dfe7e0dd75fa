"""Trains a unigram tokenizer with `meshfold train-tokenizer` on 50,000 real texts in English and Ukrainian, and compares its ids and speed on
all of them with Python sentencepiece's, on one thread each.

    python bench/compare_tokenizer.py BUILD_DIRECTORY DATA_DIRECTORY
"""
import csv
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import sentencepiece

COUNT, VOCABULARY = 50_000, 32_000


def column(path, name):
    with open(path, encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def main(build, data):
    english, ukrainian = column(data / "vader.csv", "text"), column(data / "ua_gec.csv", "response_a")
    texts = (english + ukrainian)[:COUNT]
    assert len(texts) == COUNT, len(texts)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        with open(scratch / "texts.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in texts)])
        start = time.perf_counter()
        subprocess.run([build / "meshfold", "train-tokenizer", "--run", scratch, "--set", f"data.train={scratch / 'texts.csv'}", "--set",
                        f"tokenizer.vocabulary_size={VOCABULARY}"], check=True)
        print(f"training: {time.perf_counter() - start:.1f} s")
        seconds = float(subprocess.run([build / "bench" / "tokenizer_ids", scratch / "tokenizer", scratch / "texts.csv", "text", scratch / "ids"],
                                       check=True, capture_output=True, text=True).stdout)
        ids = numpy.fromfile(scratch / "ids", dtype=numpy.int32)
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(scratch / "tokenizer" / "spm.model"))
        start = time.perf_counter()
        expected = [pieces.encode(text) for text in texts]
        python_seconds = time.perf_counter() - start
    flat = numpy.concatenate([numpy.array([len(text), *text], dtype=numpy.int32) for text in expected])
    differing = len(ids) != len(flat) or int((ids != flat).sum())
    print(f"{COUNT} texts, {len(flat) - COUNT} tokens, {differing} numbers differ")
    print(f"meshfold {COUNT / seconds:.0f} texts/s, Python sentencepiece {COUNT / python_seconds:.0f} texts/s")
    return 1 if differing else 0


sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
