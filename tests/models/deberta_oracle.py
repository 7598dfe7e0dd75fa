"""What transformers computes with DeBERTa-v2, dropout off: logits, MSE loss and every parameter's gradient, and its buckets of relative
positions, for deberta_test.cpp.

Each case is a directory: config.json and model.safetensors as save_pretrained writes them, and reference.safetensors with the inputs
(packed), logits and gradients. transformers pads and masks; we pack. `gradient.` comes from a run in fp32, `exact_gradient.` from one in fp64
(stored in fp32): see bert_oracle.py.
"""
import copy
import os
import sys

import torch
from safetensors.torch import save_file
from transformers import DebertaV2Config, DebertaV2ForSequenceClassification
from transformers.models.deberta_v2.modeling_deberta_v2 import build_relative_position

OUTPUTS = 3
LONG = [1, 300, 1024, 65]
MIXED = [1, 300, 2, 17, 64, 65, 9]
SHORT = [1, 40, 9, 17, 8, 33]
V3 = dict(relative_attention=True, position_buckets=256, max_relative_positions=-1, pos_att_type=["p2c", "c2p"], share_att_key=True,
          norm_rel_ebd="layer_norm", position_biased_input=False, type_vocab_size=0)
# Name: changes to the shape of DeBERTa-v3, lengths.
CASES = {
    "v3": (V3, LONG),
    "few_buckets": (V3 | dict(position_buckets=32, max_relative_positions=200, num_attention_heads=5, hidden_size=35), MIXED),
    "odd_buckets": (V3 | dict(position_buckets=7, max_relative_positions=24, num_attention_heads=1, hidden_size=24), MIXED),
    "every_distance": (V3 | dict(position_buckets=-1, max_relative_positions=48), [1, 130, 48, 49, 7]),
    "content_to_position": (V3 | dict(pos_att_type=["c2p"], position_buckets=16), SHORT),
    "position_to_content": (V3 | dict(pos_att_type="P2C", position_buckets=16), SHORT),
    "no_terms": (V3 | dict(pos_att_type=[], position_buckets=16), SHORT),
    "own_projections": (V3 | dict(share_att_key=False, norm_rel_ebd="none", position_buckets=16, pos_att_type="p2c|c2p"), SHORT),
    "own_key_projection": (V3 | dict(share_att_key=False, position_buckets=16, pos_att_type=["c2p"], hidden_act="gelu_new"), SHORT),
    "absolute_positions": (V3 | dict(position_biased_input=True, type_vocab_size=2, pooler_hidden_act="tanh", position_buckets=16), SHORT),
    "narrow_embeddings": (V3 | dict(embedding_size=20, position_buckets=16), SHORT),
    "wide_embeddings": (V3 | dict(embedding_size=64, position_biased_input=True, type_vocab_size=2, position_buckets=16), SHORT),
    "dense": (dict(relative_attention=False, pos_att_type=["c2p", "p2c"], position_biased_input=True, type_vocab_size=0), SHORT),
}
BUCKETS = [(256, 512), (256, 1024), (320, 512), (32, 128), (32, 200), (7, 24), (2, 9), (0, 48), (128, 4096)]


def make_model(changes):
    torch.manual_seed(7)
    sizes = dict(vocab_size=211, hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=76, max_position_embeddings=512,
                 num_labels=OUTPUTS, problem_type="regression")
    model = DebertaV2ForSequenceClassification(DebertaV2Config(**(sizes | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model.eval()


def run(model, inputs, targets):
    """Logits; gradients by name, zero where transformers never used the parameter."""
    model.zero_grad(set_to_none=True)
    logits = model(**inputs).logits
    torch.nn.functional.mse_loss(logits, targets.to(logits.dtype)).backward()
    gradients = {name: (torch.zeros_like(p) if p.grad is None else p.grad).float().contiguous() for name, p in model.named_parameters()}
    return logits.detach().contiguous(), gradients


def reference(model, lengths):
    rows, longest = len(lengths), max(lengths)
    ids = torch.randint(1, model.config.vocab_size, (rows, longest))
    segments = (torch.arange(longest)[None, :] >= torch.tensor(lengths)[:, None] // 2).long()
    mask = torch.arange(longest)[None, :] < torch.tensor(lengths)[:, None]
    targets = torch.randn(rows, OUTPUTS)
    inputs = {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask.long()}
    logits, gradients = run(model, inputs, targets)
    _, exact = run(copy.deepcopy(model).double(), inputs, targets)
    tensors = {"token_ids": ids[mask], "segments": segments[mask], "lengths": torch.tensor(lengths), "targets": targets, "logits": logits}
    tensors.update({"gradient." + name: value for name, value in gradients.items()})
    tensors.update({"exact_gradient." + name: value for name, value in exact.items()})
    return tensors


def buckets(num_buckets, max_distance, longest=1500):
    """The bucket of query - key = -(longest - 1) .. longest - 1."""
    states = torch.empty(1, 1, longest, 1)
    table = build_relative_position(states, states, num_buckets, max_distance)[0]
    return torch.cat([table[0, 1:].flip(0), table[:, 0]])


def main(directory):
    for name, (changes, lengths) in CASES.items():
        case = os.path.join(directory, name)
        model = make_model(changes)
        model.save_pretrained(case)
        save_file(reference(model, lengths), os.path.join(case, "reference.safetensors"))
    save_file({f"{n}_{m}": buckets(n, m).contiguous() for n, m in BUCKETS}, os.path.join(directory, "buckets.safetensors"))


main(sys.argv[1])
