"""Loads what export_test exported with transformers: the same logits, no missing and no unexpected tensor.

    export_oracle.py DIRECTORY
"""

import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForSequenceClassification, AutoTokenizer

TEXTS = [
    [101, 7592, 2088, 102],
    [101, 102],
    [101, 2023, 2003, 1037, 2936, 6251, 1010, 2007, 7826, 1012, 102],
]
LABELS = ["mean", "sd", "share_negative", "share_neutral", "share_positive", "median"]


def compare(logits, reference, name):
    difference = (logits - reference).abs().max().item()
    print(f"{name}: largest difference of a logit {difference:.2e}")
    assert difference <= 1e-4, difference


def main():
    directory = pathlib.Path(sys.argv[1])
    with torch.no_grad():
        model, info = AutoModelForSequenceClassification.from_pretrained(directory / "cls", output_loading_info=True)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
        config = model.config
        assert [config.id2label[i] for i in range(6)] == LABELS and config.problem_type == "regression"
        assert (config.hidden_dropout_prob, config.classifier_dropout) == (0.05, 0.25)
        assert model.classifier.weight.dtype == torch.float32
        logits = torch.cat([model.eval()(torch.tensor([text])).logits for text in TEXTS])
        compare(logits, load_file(directory / "cls.logits.safetensors")["logits"], "cls")
        AutoTokenizer.from_pretrained(directory / "cls")

        backbone, info = AutoModel.from_pretrained(directory / "mean", output_loading_info=True, add_pooling_layer=False)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info
        head = load_file(directory / "mean" / "head.safetensors")
        assert json.loads((directory / "mean" / "config.json").read_text())["meshfold_head"]["labels"] == LABELS
        means = torch.cat([backbone.eval()(torch.tensor([text])).last_hidden_state.mean(1) for text in TEXTS])
        logits = means @ head["classifier.weight"].T + head["classifier.bias"]
        compare(logits, load_file(directory / "mean.logits.safetensors")["logits"], "mean")


main()
