#!/usr/bin/env bash
# Guess: what tokenizer_config.json does not mention stays as tokenizer.json has it.
# Seen: for BERT, an absent do_lower_case, strip_accents or tokenize_chinese_chars is taken from the class's defaults
#   and overrides tokenizer.json: a cased tokenizer becomes an uncased one.
# Why it matters: a tool that writes a complete tokenizer.json and a short tokenizer_config.json exports a model that
#   gives other predictions in transformers than where it was trained; nothing warns.
# Instead: write all three keys, with the values that tokenizer.json has.
. "$(dirname "$0")/common.sh"
export TRANSFORMERS_VERBOSITY=error HF_HUB_OFFLINE=1

packages transformers==5.24.0
"$python" - <<'PYTHON'
import json
import os
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
from expect import expect

print("transformers", transformers.__version__)
words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "Caf\u00e9", "cafe", "\u4e2d\u6587", "\u4e2d", "\u6587"]
tokenizer = Tokenizer(models.WordPiece({word: id for id, word in enumerate(words)}, unk_token="[UNK]"))
tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False, strip_accents=False, handle_chinese_chars=False)
tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
tokenizer.add_special_tokens(words[:5])
os.mkdir("model")
tokenizer.save("model/tokenizer.json")
json.dump({"model_type": "bert"}, open("model/config.json", "w"))

def tokens(**keys):
    json.dump({"tokenizer_class": "BertTokenizer", **keys}, open("model/tokenizer_config.json", "w"))
    auto = transformers.AutoTokenizer.from_pretrained("model")
    return auto.convert_ids_to_tokens(auto("Caf\u00e9 \u4e2d\u6587", add_special_tokens=False)["input_ids"])

expect("tokens by tokenizer.json alone", tokenizer.encode("Caf\u00e9 \u4e2d\u6587").tokens, ["Caf\u00e9", "\u4e2d\u6587"])
expect("by transformers, no key", tokens(), ["cafe", "\u4e2d", "\u6587"])
expect("by transformers, do_lower_case = false", tokens(do_lower_case=False), ["Caf\u00e9", "\u4e2d", "\u6587"])
expect("by transformers, all three keys", tokens(do_lower_case=False, strip_accents=False, tokenize_chinese_chars=False), ["Caf\u00e9", "\u4e2d\u6587"])
PYTHON
