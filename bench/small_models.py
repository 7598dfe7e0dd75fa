"""A table of made-up texts and two small encoders with random weights for it, so that a bench needs no download: BERT with a
WordPiece vocabulary, DeBERTa-v3 with a SentencePiece model of the same words. Needs transformers and sentencepiece."""

import csv
import json
import random
import shutil
import sys
from pathlib import Path

import sentencepiece
import torch
import transformers

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
import small_deberta

SIZES = dict(hidden_size=256, num_hidden_layers=4, num_attention_heads=8, intermediate_size=1024)
VOCABULARY = 6000
LENGTHS = (24, 48, 96)  # words of a text


def make_words(generator):
    words = set()
    while len(words) < VOCABULARY - 100:
        words.add("".join(generator.choice("aeiou" if i % 2 else "bcdfghklmnprstvz") for i in range(generator.randint(4, 7))))
    return sorted(words)


def make_table(path, words, rows, generator):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "text", "score"])
        for row in range(rows):
            writer.writerow([row, " ".join(generator.choices(words, k=LENGTHS[row % len(LENGTHS)])), generator.gauss(0, 1)])


def make_bert(directory, words):
    directory.mkdir()
    characters = [chr(c) for c in range(ord("a"), ord("z") + 1)]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *("##" + c for c in characters), *words]
    (directory / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizer", "do_lower_case": True}), encoding="utf-8")
    config = transformers.BertConfig(vocab_size=len(vocabulary), max_position_embeddings=128, **SIZES)
    transformers.BertModel(config).save_pretrained(directory)


def make_deberta(directory, words):
    directory.mkdir()
    model = directory / "spm.model"
    with open(model, "wb") as file:
        sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(words), model_writer=file, vocab_size=VOCABULARY, model_type="bpe", pad_id=0, bos_id=1,
                                                 eos_id=2, unk_id=3, pad_piece="[PAD]", bos_piece="[CLS]", eos_piece="[SEP]", unk_piece="[UNK]",
                                                 minloglevel=2)
    transformers.DebertaV2Model(small_deberta.config(VOCABULARY, SIZES)).save_pretrained(directory)
    (directory / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": False, "vocab_type": "spm"}),
                                                     encoding="utf-8")


def make(scratch, kind, rows):
    """(table, model directory) of kind bert or deberta."""
    generator = random.Random(1)
    torch.manual_seed(1)
    words = make_words(generator)
    table, model = scratch / "train.csv", scratch / kind
    make_table(table, words, rows, generator)
    shutil.rmtree(model, ignore_errors=True)
    {"bert": make_bert, "deberta": make_deberta}[kind](model, words)
    return table, model
