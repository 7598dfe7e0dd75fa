#!/usr/bin/env bash
# Guess: tokenizers' Precompiled normalizer, which takes SentencePiece's own table of replacements out of the model
#   file, normalizes as SentencePiece does.
# Seen: it looks up whole grapheme clusters below six bytes and single characters otherwise, where SentencePiece looks
#   up the longest match at every place. A letter with two combining marks LOSES one: e + dot below + circumflex
#   becomes "e with dot below". Half-width katakana and kana with a separate voicing mark, and Hangul in parts, stay
#   uncomposed.
# Why it matters: the tokenizer.json of XLM-R and its like uses it. Decomposed Vietnamese has lost marks before the
#   model sees it, and the ids differ from those of the same model's SentencePiece file.
# Instead: put texts into NFC before either tokenizer, or tokenize with the SentencePiece model itself.
. "$(dirname "$0")/common.sh"

packages sentencepiece==0.2.1 tokenizers==0.23.3 protobuf==7.36.2
"$python" - <<'PYTHON'
import io
import unicodedata
import sentencepiece
import tokenizers
from sentencepiece import sentencepiece_model_pb2
from expect import expect

print("sentencepiece", sentencepiece.__version__, "tokenizers", tokenizers.__version__)
written = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(["a b c d e"] * 10), model_writer=written, vocab_size=20, hard_vocab_limit=False,
                                         add_dummy_prefix=False, minloglevel=2)
model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
processor = sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())
precompiled = tokenizers.normalizers.Precompiled(model.normalizer_spec.precompiled_charsmap)

def show(text):
    return " ".join(f"{ord(character):04X}" for character in text)

def both(what, text, by_sentencepiece, by_tokenizers):
    expect(f"{what} {show(text)}: sentencepiece", show(processor.normalize(text)), show(by_sentencepiece))
    expect(f"{what} {show(text)}: tokenizers", show(precompiled.normalize_str(text)), show(by_tokenizers))

both("ellipsis", "\u2026", "...", "...")
both("e with acute", "e\u0301", "\u00e9", "\u00e9")
both("e with dot below and circumflex", "e\u0323\u0302", "\u1ec7", "\u1eb9")
both("the same in NFC", unicodedata.normalize("NFC", "e\u0323\u0302"), "\u1ec7", "\u1ec7")
both("half-width GA", "\uff76\uff9e", "\u30ac", "\u30ab\u3099")
both("Hangul HAN", "\u1112\u1161\u11ab", "\ud55c", "\u1112\u1161\u11ab")
PYTHON
