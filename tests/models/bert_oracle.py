"""What transformers computes with BERT, dropout off: logits, MSE loss and every parameter's gradient, for bert_test.cpp.

Each case is a directory: config.json and model.safetensors as save_pretrained writes them, and for each pooling a file
reference_<pooling>.safetensors with the inputs (packed), logits and gradients. transformers pads and masks; we pack.

Gradients come twice: `gradient.` from a run in fp32 and `exact_gradient.` from one in fp64 (stored in fp32). A key bias adds the same to
all scores of a query, so its true gradient is zero and that of an fp32 run is nothing but the run's own rounding.
"""
import copy
import os
import sys

import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, BertForSequenceClassification

OUTPUTS = 6


def small(activation):
    torch.manual_seed(7)
    config = BertConfig(vocab_size=211, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=76,
                        max_position_embeddings=40, hidden_act=activation, num_labels=OUTPUTS)
    model = BertForSequenceClassification(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def minilm():
    torch.manual_seed(8)
    directory = os.path.join(os.environ["MESHFOLD_TEST_DATA"], "minilm")
    model = BertForSequenceClassification(BertConfig.from_pretrained(directory, num_labels=OUTPUTS))
    weights = {"bert." + k: v for k, v in load_file(os.path.join(directory, "model.safetensors")).items()
               if k != "embeddings.position_ids"}
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(k.startswith("classifier") for k in missing), (missing, unexpected)
    return model


def run(model, pooling, inputs, targets):
    """Logits; gradients by name."""
    model.zero_grad(set_to_none=True)
    if pooling == "cls":
        logits = model(**inputs).logits
    else:
        mask = inputs["attention_mask"]
        hidden = model.bert(**inputs).last_hidden_state * mask[:, :, None]
        logits = model.classifier(hidden.sum(1) / mask.sum(1, keepdim=True))
    torch.nn.functional.mse_loss(logits, targets.to(logits.dtype)).backward()
    gradients = {name: p.grad.float().contiguous() for name, p in model.named_parameters() if p.grad is not None}
    return logits.detach().contiguous(), gradients


def reference(model, lengths, pooling):
    rows, longest = len(lengths), max(lengths)
    ids = torch.randint(1, model.config.vocab_size, (rows, longest))
    segments = (torch.arange(longest)[None, :] >= torch.tensor(lengths)[:, None] // 2).long()
    mask = torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]
    targets = torch.randn(rows, OUTPUTS)
    inputs = {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask.long()}
    logits, gradients = run(model, pooling, inputs, targets)
    _, exact = run(copy.deepcopy(model).double(), pooling, inputs, targets)
    tensors = {"token_ids": ids[mask], "segments": segments[mask], "lengths": torch.tensor(lengths), "targets": targets, "logits": logits}
    tensors.update({"gradient." + name: value for name, value in gradients.items()})
    tensors.update({"exact_gradient." + name: value for name, value in exact.items()})
    return tensors


def main(directory):
    cases = {"minilm": (minilm(), [1, 512, 25, 3, 77, 2, 130, 40]), "gelu_new": (small("gelu_new"), [1, 40, 9, 17, 8]),
             "relu": (small("relu"), [5, 1, 33])}
    for name, (model, lengths) in cases.items():
        case = os.path.join(directory, name)
        model.eval()
        model.save_pretrained(case)
        for pooling in ("cls", "mean"):
            save_file(reference(model, lengths, pooling), os.path.join(case, f"reference_{pooling}.safetensors"))


main(sys.argv[1])
