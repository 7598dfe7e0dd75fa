"""Texts and the ids that Python's sentencepiece gives them: for a unigram model with DeBERTa's layout and a BPE model with byte fallback, both
trained here, and for the real tokenizers of Gemma and Mistral."""
import csv
import json
import os
import random
import re
import shutil
import sys

import sentencepiece

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
    train(deberta, "unigram", real[::2], vocab_size=4000, character_coverage=0.999, pad_id=0, pad_piece="[PAD]", bos_id=1,
          bos_piece="[CLS]", eos_id=2, eos_piece="[SEP]", unk_id=3, unk_piece="[UNK]")
    write_config(deberta, "DebertaV2Tokenizer")
    pieces = processor(os.path.join(deberta, "spm.model"))
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
