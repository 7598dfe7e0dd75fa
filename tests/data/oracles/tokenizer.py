"""Texts and the ids that Hugging Face tokenizers gives them, for the BERT tokenizer of a real model and for one whose vocabulary has every
character as a piece, so that no difference can hide in [UNK]."""
import csv
import json
import os
import random
import shutil
import sys

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.processors import TemplateProcessing
from transformers import AutoTokenizer

from binary import OracleFile

MODEL = os.path.join(os.environ["MESHFOLD_TEST_DATA"], "minilm")
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# name -> do_lower_case, strip_accents, tokenize_chinese_chars
VARIANTS = {
    "uncased": (True, None, True),
    "cased": (False, None, True),
    "lower_with_accents": (True, False, True),
    "cased_without_accents": (False, True, False),
}


def code_points():
    """Every scalar value of planes 0 to 2, where all letters are, and the seams of the planes above."""
    yield from (c for c in range(0x30000) if not 0xD800 <= c < 0xE000)
    for start in (0x30000, 0x31340, 0x3FFF0, 0xE0000, 0xEFFF0, 0xF0000, 0xFFFF0, 0x100000, 0x10FF00):
        yield from range(start, start + 0x100 if start + 0x100 <= 0x110000 else 0x110000)


def texts_around_code_points():
    for code in code_points():
        c = chr(code)
        yield f"a{c}b {c}A{c}\u0323\u0301{c}\u0345\u0334 1{c}"


def random_texts(count):
    rng = random.Random(7)
    blocks = [(0x20, 0x7F), (0x0, 0x20), (0x7F, 0xA1), (0xA0, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xA00),
              (0x1100, 0x1200), (0x1E00, 0x2070), (0x2000, 0x2070), (0x3040, 0x3100), (0x4E00, 0x4F00), (0xAC00, 0xAD00),
              (0xFE00, 0xFE10), (0xFF00, 0x10000), (0x1D165, 0x1D173), (0x1E000, 0x1E02B), (0x1F300, 0x1FAFF), (0x2B7F0, 0x2B930)]
    pieces = SPECIAL + ["[cls]", "[[SEP]]", "[SEP", "SEP]", "[ SEP ]", "[MASK]s", "\ufffd", "\u200d", "👩\u200d👩\u200d👧\u200d👦", "🏳️\u200d🌈",
                        "👍🏽", "é", "e\u0301", "İ", "ΟΔΟΣ", "ﬁ", "ß", "ẞ", "한국어", "中文", "don't", "U.S.A.", "...", "x" * 99, "x" * 100,
                        "x" * 101, "é" * 100, "e\u0301" * 101, "漢" * 120, "🙂" * 101, "a" * 399, "\x01", "\u0323\x01\u0301",
                        "unaffable", "tokenization", "##ing", "\u00ad", "\t", "\n", "\r\n", "\u0085", "\u2028", " ", "  "]
    for _ in range(count):
        parts = []
        for _ in range(rng.choice([1, 3, 8, 20])):
            if rng.random() < 0.5:
                parts.append(rng.choice(pieces))
            else:
                low, high = rng.choice(blocks)
                parts.extend(chr(rng.randrange(low, high)) for _ in range(rng.choice([1, 2, 5])))
            if rng.random() < 0.3:
                parts.append(" ")
        yield "".join(parts)


def real_texts():
    with open(os.path.join(os.environ["MESHFOLD_TEST_DATA"], "vader.csv"), encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def reference(tokenizer, variant):
    lower, strip, ideographs = VARIANTS[variant]
    tokenizer.normalizer = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=ideographs, strip_accents=strip, lowercase=lower)
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def real_tokenizer(variant):
    return reference(Tokenizer.from_file(os.path.join(MODEL, "tokenizer.json")), variant)


def write_directory(path, vocabulary, variant):
    lower, strip, ideographs = VARIANTS[variant]
    os.makedirs(path, exist_ok=True)
    with open(os.path.join(path, "vocab.txt"), "w", encoding="utf-8", newline="") as file:
        file.writelines(piece + "\n" for piece in vocabulary)
    with open(os.path.join(path, "tokenizer_config.json"), "w", encoding="utf-8") as file:
        json.dump({"tokenizer_class": "BertTokenizer", "do_lower_case": lower, "strip_accents": strip,
                   "tokenize_chinese_chars": ideographs}, file)


def characters_vocabulary():
    spaces = set("\t\n\x0b\x0c\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000") | {chr(c) for c in range(0x2000, 0x200B)}
    characters = [c for c in map(chr, code_points()) if c not in spaces]
    return SPECIAL + characters + ["##" + c for c in characters]


def characters_tokenizer(vocabulary, variant):
    ids = {piece: i for i, piece in enumerate(vocabulary)}
    tokenizer = Tokenizer(WordPiece(ids, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(SPECIAL)
    return reference(tokenizer, variant)


def write_ids(path, tokenizer, texts):
    out = OracleFile(path)
    for start in range(0, len(texts), 10000):
        batch = texts[start : start + 10000]
        for text, encoding in zip(batch, tokenizer.encode_batch(batch, add_special_tokens=False)):
            out.text(text)
            out.ids(encoding.ids)
    out.close()


def write_inputs(path, texts):
    """Single and paired inputs, cut to several lengths."""
    rng = random.Random(11)
    tokenizer = real_tokenizer("uncased")
    out = OracleFile(path)
    for max_length in list(range(3, 24)) + [64, 128]:
        tokenizer.enable_truncation(max_length=max_length, strategy="longest_first")
        for _ in range(200):
            first = rng.choice(texts)
            second = rng.choice(texts + ["", " "] * 2000) if rng.random() < 0.75 else None
            if rng.random() < 0.5:
                first = " ".join(first.split()[: rng.randint(0, 8)])
                second = second and " ".join(second.split()[: rng.randint(0, 8)])
            encoding = tokenizer.encode(first, second)
            out.number(max_length)
            out.text(first)
            out.number(0 if second is None else 1)
            out.text(second or "")
            out.ids(encoding.ids)
            # The second segment begins where the type id turns to 1.
            out.number(encoding.type_ids.index(1) if 1 in encoding.type_ids else 0)
    out.close()


def check_with_transformers(directory, tokenizer, texts):
    """The directory means to transformers what we take it to mean."""
    ids = AutoTokenizer.from_pretrained(directory)(texts, add_special_tokens=False)["input_ids"]
    assert ids == [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)], directory


def main(directory):
    os.makedirs(directory, exist_ok=True)
    real, mixed = real_texts(), list(random_texts(10000))
    around = list(texts_around_code_points())
    blank = ["", " ", "\n\t", "\u3000", "\u200b", "[CLS]", "[MASK][MASK]"]
    with open(os.path.join(MODEL, "vocab.txt"), encoding="utf-8", newline="") as file:
        vocabulary = file.read().split("\n")[:-1]
    characters = characters_vocabulary()
    for variant in VARIANTS:
        tokenizer = real_tokenizer(variant)
        path = os.path.join(directory, "real_" + variant)
        write_directory(path, vocabulary, variant)
        write_ids(path + ".bin", tokenizer, real + mixed + blank)
        path = os.path.join(directory, "characters_" + variant)
        write_directory(path, characters, variant)
        # All code points where BERT's own models are; a seventh of them for the two settings that hardly anybody uses.
        texts = around if variant in ("uncased", "cased") else around[::7]
        write_ids(path + ".bin", characters_tokenizer(characters, variant), texts + mixed)
    for variant in ("uncased", "cased"):
        check_with_transformers(os.path.join(directory, "real_" + variant), real_tokenizer(variant), real[:2000] + mixed[:2000])
    write_inputs(os.path.join(directory, "inputs.bin"), real)
    json_only = os.path.join(directory, "json_only")
    os.makedirs(json_only, exist_ok=True)
    shutil.copy(os.path.join(MODEL, "tokenizer.json"), json_only)


if __name__ == "__main__":
    main(sys.argv[1])
