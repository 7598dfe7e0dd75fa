#!/usr/bin/env python3
"""SentencePiece on 50,000 real texts in English and Ukrainian: ids and speed beside Python sentencepiece's, on one thread each. The models are a
unigram model that `meshfold train-tokenizer` makes of these texts, and the real ones of Gemma and Mistral.

    python bench/compare_tokenizer.py BUILD_DIRECTORY DATA_DIRECTORY

DATA_DIRECTORY holds what scripts/fetch_data.py makes of vader, ua-gec, gemma-tokenizer and mistral-tokenizer. Both sides encode all texts
alternately; Python's time contains its lists of ids, in which it has one call for all texts.
"""
import csv
import json
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy
import sentencepiece

COUNT, VOCABULARY, ROUNDS = 50_000, 32_000, 5
REAL_MODELS = {"gemma": ("gemma-tokenizer/tokenizer.model", "GemmaTokenizer"),
               "mistral": ("mistral-tokenizer/mistral-v3.model", "LlamaTokenizer")}


def column(path, name):
    with open(path, encoding="utf-8", newline="") as file:
        return [row[name] for row in csv.DictReader(file)]


def read_texts(data):
    """Every second text is Ukrainian until one language runs out."""
    english, ukrainian = column(data / "vader.csv", "text"), column(data / "ua_gec.csv", "response_a")
    texts = [text for pair in zip(english, ukrainian) for text in pair] + ukrainian[len(english):]
    if len(texts) < COUNT:
        raise SystemExit(f"{data}: vader.csv and ua_gec.csv have {len(texts)} texts together, {COUNT} are needed; fetch them again")
    return texts[:COUNT]


def train(build, table, scratch):
    """The directory of a tokenizer trained on the table, and the seconds that took."""
    start = time.perf_counter()
    subprocess.run([build / "meshfold", "train-tokenizer", "--run", scratch / "run", "--set", f"data.train={table}", "--set",
                    f"tokenizer.output={scratch / 'own'}", "--set", f"tokenizer.vocabulary_size={VOCABULARY}"], check=True, stdout=subprocess.DEVNULL)
    return scratch / "own", time.perf_counter() - start


def copy_model(file, tokenizer_class, directory):
    directory.mkdir()
    shutil.copy(file, directory / "tokenizer.model")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": tokenizer_class}))
    return directory


def compare(name, directory, build, table, texts):
    """Prints both speeds; says whether all ids are equal."""
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(next(directory.glob("*.model"))))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        result = subprocess.run([build / "bench" / "tokenizer_ids", directory, table, "text", directory / "ids"], check=True, capture_output=True,
                                text=True)
        ours.append(float(result.stdout))
        start = time.perf_counter()
        expected = pieces.encode(texts, num_threads=1)
        theirs.append(time.perf_counter() - start)
    flat = numpy.concatenate([numpy.array([len(ids), *ids], dtype=numpy.int32) for ids in expected])
    equal = numpy.array_equal(numpy.fromfile(directory / "ids", dtype=numpy.int32), flat)
    print(f"{name}: {len(texts)} texts, {len(flat) - len(texts)} tokens, ids {'equal' if equal else 'DIFFER'}; meshfold "
          f"{len(texts) / statistics.median(ours):,.0f} texts/s, Python sentencepiece {len(texts) / statistics.median(theirs):,.0f} texts/s, "
          f"medians of {ROUNDS}", flush=True)
    return equal


def main(build, data):
    texts = read_texts(data)
    with tempfile.TemporaryDirectory() as name:
        scratch = pathlib.Path(name)
        table = scratch / "texts.csv"
        with open(table, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["text"], *([text] for text in texts)])
        own, seconds = train(build, table, scratch)
        print(f"train-tokenizer: {VOCABULARY} pieces of {len(texts)} texts in {seconds:.1f} s", flush=True)
        directories = {"own unigram": own}
        for model, (file, tokenizer_class) in REAL_MODELS.items():
            directories[model] = copy_model(data / file, tokenizer_class, scratch / model)
        equal = [compare(model, directory, build, table, texts) for model, directory in directories.items()]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
