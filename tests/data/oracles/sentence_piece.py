"""Texts and the ids that Python's sentencepiece gives them: for a unigram model with DeBERTa's layout that `meshfold train-tokenizer` trained, a
BPE model with byte fallback trained here, and the real tokenizers of Gemma and Mistral."""
import csv
import json
import os
import random
import re
import shutil
import subprocess
import sys

import sentencepiece
import transformers

from binary import OracleFile
from tokenizer import random_texts

DATA = os.environ["MESHFOLD_TEST_DATA"]
SPECIAL = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3}


def column(name, column_name):
    with open(os.path.join(DATA, name), encoding="utf-8", newline="") as file:
        return [row[column_name] for row in csv.DictReader(file)]


def real_texts(count):
    """English and Ukrainian sentences, and both in one text."""
    rng = random.Random(3)
    english, ukrainian = column("vader.csv", "text"), column("ua_gec.csv", "response_a")
    texts = rng.sample(english, count // 2) + rng.sample(ukrainian, count // 2)
    return texts + [f"{rng.choice(english)} {rng.choice(ukrainian)}\n{rng.choice(english)}" for _ in range(count // 10)]


def train(directory, model_type, texts, **options):
    os.makedirs(directory, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_writer=open(os.path.join(directory, "spm.model"), "wb"), model_type=model_type,
        num_threads=2, minloglevel=2, **options)


def train_tokenizer(directory, english, ukrainian, vocabulary_size):
    """With our own command, on two columns of a table."""
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    table = os.path.join(directory, "texts.csv")
    with open(table, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("english", "ukrainian"), *zip(english, ukrainian, strict=True)])
    settings = {"data.train": table, "tokenizer.columns": "english,ukrainian", "tokenizer.output": directory,
                "tokenizer.vocabulary_size": vocabulary_size, "tokenizer.character_coverage": 0.999}
    subprocess.run([os.environ["MESHFOLD_BINARY"], "train-tokenizer", "--run", os.path.join(directory, "run"),
                    *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))], check=True)


def check_with_transformers(directory, pieces, texts):
    """transformers reads the directory as DeBERTa's. It breaks ties between segmentations of equal score in another order."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(directory)
    assert type(tokenizer).__name__.startswith("DebertaV2Tokenizer"), type(tokenizer)
    special = {"[PAD]": 0, "[CLS]": 1, "[SEP]": 2, "[UNK]": 3, "[MASK]": pieces.vocab_size()}
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in special} == special
    assert len(tokenizer) == pieces.vocab_size() + 1
    same = 0
    for text in texts:
        ids, expected = tokenizer(text)["input_ids"], [1, *pieces.encode(text), 2]
        assert sorted(ids) == sorted(expected), text
        same += ids == expected
    assert same >= 0.99 * len(texts), same


def processor(file):
    return sentencepiece.SentencePieceProcessor(model_file=file)


def encode_between_special_tokens(pieces, text):
    """Special tokens written in the text are cut out first; [MASK] comes after the last piece."""
    special = {**SPECIAL, "[MASK]": pieces.vocab_size()}
    ids = []
    for part in re.split("(" + "|".join(map(re.escape, special)) + ")", text):
        ids += [special[part]] if part in special else pieces.encode(part)
    return ids


def write_ids(path, texts, encode):
    out = OracleFile(path)
    for text in texts:
        out.text(text)
        out.ids(encode(text))
    out.close()


def write_config(directory, tokenizer_class):
    with open(os.path.join(directory, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": tokenizer_class}, file)


def main(directory):
    os.makedirs(directory, exist_ok=True)
    real = real_texts(5000)
    texts = real + list(random_texts(3000)) + ["", " ", "\n\t", "\u3000", "▁", "▁▁a", "\x00", "a\x00b", "[CLS]", "[MASK][MASK]"]

    deberta = os.path.join(directory, "deberta")
    train_tokenizer(deberta, real[:2500], real[2500:5000], 4000)
    pieces = processor(os.path.join(deberta, "spm.model"))
    check_with_transformers(deberta, pieces, real[:1000])
    write_ids(deberta + ".bin", texts, lambda text: encode_between_special_tokens(pieces, text))

    bytes_too = os.path.join(directory, "bpe_bytes")
    train(bytes_too, "bpe", real[::2], vocab_size=3000, byte_fallback=True, character_coverage=0.99, pad_id=0, eos_id=1, bos_id=2,
          unk_id=3, normalization_rule_name="identity", remove_extra_whitespaces=False)
    write_ids(bytes_too + ".bin", texts, processor(os.path.join(bytes_too, "spm.model")).encode)

    for name, file, tokenizer_class in (("gemma", "gemma-tokenizer/tokenizer.model", "GemmaTokenizer"),
                                        ("mistral", "mistral-tokenizer/mistral-v3.model", "LlamaTokenizer")):
        target = os.path.join(directory, name)
        os.makedirs(target, exist_ok=True)
        shutil.copy(os.path.join(DATA, file), os.path.join(target, "tokenizer.model"))
        write_config(target, tokenizer_class)
        write_ids(target + ".bin", texts, processor(os.path.join(target, "tokenizer.model")).encode)


main(sys.argv[1])
