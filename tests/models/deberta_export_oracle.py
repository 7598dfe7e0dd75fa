"""Loads what deberta_test exported with transformers: the logits of the model it came from, no missing and no unexpected tensor.

    deberta_export_oracle.py DIRECTORY
"""

import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification


def main():
    directory = pathlib.Path(sys.argv[1])
    exported = sorted((directory / "exported").iterdir())
    assert exported, "nothing was exported"
    for path in exported:
        model, info = AutoModelForSequenceClassification.from_pretrained(path, output_loading_info=True)
        assert not any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), (path, info)
        assert model.config.hidden_dropout_prob == 0.0 and model.config.problem_type == "regression", model.config
        reference = load_file(directory / path.name / "reference.safetensors")
        lengths = reference["lengths"].tolist()
        texts, segments = reference["token_ids"].split(lengths), reference["segments"].split(lengths)
        with torch.no_grad():
            logits = torch.cat([model.eval()(ids[None], token_type_ids=kind[None]).logits for ids, kind in zip(texts, segments)])
        difference = (logits - reference["logits"]).abs().max().item()
        print(f"{path.name}: largest difference of a logit {difference:.2e}")
        assert difference <= 1e-4, (path, difference)


main()
