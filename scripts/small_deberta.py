#!/usr/bin/env python3
"""Make a model directory of DeBERTa-v3's kind with random weights around a SentencePiece model, for trying things out without a download.

    scripts/small_deberta.py --spm spm.model --out data/small-deberta

The sizes are small by default; --base gives those of DeBERTa-v3-base. Needs transformers and sentencepiece. Published weights are a
directory of the same form: name it instead.
"""

import argparse
import json
import shutil
from pathlib import Path

import sentencepiece
import torch
import transformers

SMALL = dict(hidden_size=64, num_hidden_layers=3, num_attention_heads=4, intermediate_size=192)
BASE = dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072)


def config(pieces, sizes):
    # [MASK] comes after the pieces.
    return transformers.DebertaV2Config(vocab_size=pieces + 1, relative_attention=True, position_buckets=256, max_relative_positions=-1,
                                        pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
                                        position_biased_input=False, type_vocab_size=0, pad_token_id=0, **sizes)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spm", required=True, type=Path, help="unigram model in DeBERTa's layout: [PAD] 0, [CLS] 1, [SEP] 2, [UNK] 3")
    parser.add_argument("--out", required=True, type=Path)
    parser.add_argument("--base", action="store_true", help="the sizes of DeBERTa-v3-base")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(options.spm))
    layout = [pieces.id_to_piece(i) for i in range(4)]
    if layout != ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]:
        raise SystemExit(f"small_deberta.py: {options.spm} begins with {layout}; it must begin with [PAD], [CLS], [SEP], [UNK]")
    torch.manual_seed(options.seed)
    model = transformers.DebertaV2Model(config(len(pieces), BASE if options.base else SMALL))
    model.save_pretrained(options.out)
    shutil.copy(options.spm, options.out / "spm.model")
    (options.out / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "DebertaV2Tokenizer", "do_lower_case": False, "vocab_type": "spm"}, indent=2) + "\n")


if __name__ == "__main__":
    main()
