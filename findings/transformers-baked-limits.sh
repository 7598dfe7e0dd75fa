#!/usr/bin/env bash
# Guess: truncation and padding that are written inside tokenizer.json act on everyone who reads the file, or on
#   nobody.
# Seen: the tokenizers library obeys them by default; transformers reads the same file and ignores them.
# Why it matters: published models have such a block (a length of 128, say). With tokenizers as the reference for a
#   tokenizer of one's own, long texts agree only up to that length, and short ones are full of padding.
# Instead: call no_truncation() and no_padding() after from_file, and always give the length oneself.
. "$(dirname "$0")/common.sh"
export TRANSFORMERS_VERBOSITY=error HF_HUB_OFFLINE=1

packages transformers==5.24.0
"$python" - <<'PYTHON'
import json
import os
import tokenizers
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from expect import expect

print("transformers", transformers.__version__, "tokenizers", tokenizers.__version__)
tokenizer = Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1, "word": 2}, unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.enable_truncation(4)
tokenizer.enable_padding(length=8)
os.mkdir("model")
tokenizer.save("model/tokenizer.json")
json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "unk_token": "[UNK]", "pad_token": "[PAD]"}, open("model/tokenizer_config.json", "w"))

text = "word " * 6
file = Tokenizer.from_file("model/tokenizer.json")
expect("six words by tokenizers", file.encode(text).ids, [2, 2, 2, 2, 0, 0, 0, 0])
expect("by transformers", transformers.AutoTokenizer.from_pretrained("model")(text)["input_ids"], [2] * 6)
file.no_truncation()
file.no_padding()
expect("by tokenizers after no_truncation and no_padding", file.encode(text).ids, [2] * 6)
PYTHON
