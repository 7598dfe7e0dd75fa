"""Heads in padded PyTorch over a transformers BERT, dropout off, for heads_test.cpp: logits, MSE loss, every parameter's gradient in fp32
and in fp64. Afterwards the exported directories are loaded with examples/load_model.py.

    heads_oracle.py DIRECTORY          writes DIRECTORY/model, DIRECTORY/deberta and DIRECTORY/<case>.safetensors
    heads_oracle.py DIRECTORY check    loads DIRECTORY/exported/<case> and DIRECTORY/exported_views/<case>
"""
import copy
import pathlib
import sys

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertConfig, BertModel, DebertaV2Config, DebertaV2Model

OUTPUTS = 3
LENGTHS = [1, 40, 9, 17, 8, 2]


class TokenHead(nn.Module):
    """Max, min or last over real tokens."""

    def __init__(self, kind, width):
        super().__init__()
        self.kind, self.classifier = kind, nn.Linear(width, OUTPUTS)

    def forward(self, states, mask):
        last, padding = states[-1], ~mask[:, :, None]
        if self.kind == "last":
            return self.classifier(last[torch.arange(len(last)), mask.sum(1) - 1])
        pooled = last.masked_fill(padding, -torch.inf).max(1) if self.kind == "max" else last.masked_fill(padding, torch.inf).min(1)
        return self.classifier(pooled.values)


class AttentionHead(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.dense, self.norm, self.score = nn.Linear(width, width), nn.LayerNorm(width), nn.Linear(width, 1)
        self.classifier = nn.Linear(width, OUTPUTS)

    def forward(self, states, mask):
        scores = self.score(nn.functional.gelu(self.norm(self.dense(states[-1]))))
        weights = scores.masked_fill(~mask[:, :, None], -torch.inf).softmax(1)
        return self.classifier((weights * states[-1]).sum(1))


class WeightedLayersHead(nn.Module):
    def __init__(self, width, num_states, kind):
        super().__init__()
        self.kind, self.layer_weights, self.classifier = kind, nn.Parameter(torch.ones(num_states)), nn.Linear(width, OUTPUTS)

    def forward(self, states, mask):
        stacked = torch.stack(states[-len(self.layer_weights):])
        mean = (self.layer_weights[:, None, None, None] * stacked).sum(0) / self.layer_weights.sum()
        if self.kind == "cls":
            return self.classifier(mean[:, 0])
        return self.classifier((mean * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True))


class ConcatenatedHead(nn.Module):
    def __init__(self, width, num_states):
        super().__init__()
        self.num_states, self.classifier = num_states, nn.Linear(num_states * width, OUTPUTS)

    def forward(self, states, mask):
        return self.classifier(torch.cat([states[-1 - i][:, 0] for i in range(self.num_states)], dim=1))


def our_name(name):
    """Parameters of a pooler are named pooling.*."""
    return name if name.startswith("classifier.") else "pooling." + name


def run(backbone, head, inputs, targets):
    """Logits; gradients by our names, zero where nothing used the parameter."""
    backbone.zero_grad(set_to_none=True)
    head.zero_grad(set_to_none=True)
    states = backbone(**inputs, output_hidden_states=True).hidden_states
    logits = head(states, inputs["attention_mask"].bool())
    nn.functional.mse_loss(logits, targets.to(logits.dtype)).backward()
    named = [("bert." + name, p) for name, p in backbone.named_parameters()] + [(our_name(name), p) for name, p in head.named_parameters()]
    return logits.detach().contiguous(), {name: (torch.zeros_like(p) if p.grad is None else p.grad).float().contiguous() for name, p in named}


def reference(backbone, head):
    longest = max(LENGTHS)
    mask = torch.arange(longest)[None, :] < torch.tensor(LENGTHS)[:, None]
    ids = torch.randint(1, backbone.config.vocab_size, mask.shape)
    segments = (torch.arange(longest)[None, :] >= torch.tensor(LENGTHS)[:, None] // 2).long()
    targets = torch.randn(len(LENGTHS), OUTPUTS)
    inputs = {"input_ids": ids, "token_type_ids": segments, "attention_mask": mask.long()}
    logits, gradients = run(backbone, head, inputs, targets)
    _, exact = run(copy.deepcopy(backbone).double(), copy.deepcopy(head).double(), inputs, targets)
    tensors = {"token_ids": ids[mask], "segments": segments[mask], "lengths": torch.tensor(LENGTHS), "targets": targets, "logits": logits}
    tensors |= {"gradient." + name: value for name, value in gradients.items()}
    tensors |= {"exact_gradient." + name: value for name, value in exact.items()}
    return tensors | {our_name(name): p.detach().clone() for name, p in head.named_parameters()}


def write(directory):
    torch.manual_seed(7)
    width = 24
    config = BertConfig(vocab_size=101, hidden_size=width, num_hidden_layers=5, num_attention_heads=3, intermediate_size=40,
                        max_position_embeddings=40, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    backbone = BertModel(config, add_pooling_layer=False).eval()
    heads = {"max": TokenHead("max", width), "min": TokenHead("min", width), "last": TokenHead("last", width),
             "attention": AttentionHead(width), "weighted_cls": WeightedLayersHead(width, 2, "cls"),
             "weighted_mean": WeightedLayersHead(width, 6, "mean"), "concat_cls": ConcatenatedHead(width, 3)}
    with torch.no_grad():
        for parameter in [*backbone.parameters(), *(p for head in heads.values() for p in head.parameters())]:
            parameter.add_(0.1 * torch.randn_like(parameter))
    backbone.save_pretrained(directory / "model")
    # Its head's pooler has another activation than DeBERTa-v3's.
    DebertaV2Model(DebertaV2Config(
        vocab_size=101, hidden_size=width, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40, max_position_embeddings=40,
        relative_attention=True, position_buckets=8, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
        position_biased_input=False, type_vocab_size=0, pooler_hidden_act="tanh", initializer_range=0.2)).save_pretrained(directory / "deberta")
    for name, head in heads.items():
        save_file(reference(backbone, head), directory / f"{name}.safetensors")


def padded(token_ids, lengths, **others):
    """Packed rows as inputs of transformers."""
    pad = lambda flat: nn.utils.rnn.pad_sequence(flat.split(lengths.tolist()), batch_first=True)
    return {"input_ids": pad(token_ids), "attention_mask": pad(torch.ones_like(token_ids))} | {name: pad(flat) for name, flat in others.items()}


def check_logits(name, logits, expected):
    difference = (logits - expected).abs().max().item()
    print(f"{name}: largest difference of a logit {difference:.2e}")
    assert logits.shape == expected.shape and difference <= 1e-4


@torch.no_grad()
def check(directory):
    sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "examples"))
    from load_model import HeadModel
    cases = sorted((directory / "exported").iterdir())
    assert len(cases) == 8, cases
    for case in cases:
        tensors = load_file(directory / (("last" if case.name == "mean" else case.name) + ".safetensors"))
        expected = load_file(directory / "exported_logits.safetensors")[case.name]
        check_logits(case.name, HeadModel(case).eval()([padded(tensors["token_ids"], tensors["lengths"], token_type_ids=tensors["segments"])]), expected)
    tensors = load_file(directory / "exported_views.safetensors")
    whole = padded(tensors["token_ids"], tensors["lengths"])
    views = [{key: rows[view::2] for key, rows in whole.items()} for view in range(2)]
    cases = sorted((directory / "exported_views").iterdir())
    assert len(cases) == 4, cases
    for case in cases:
        check_logits(case.name, HeadModel(case).eval()(views, features=tensors["features"]), tensors[case.name])


directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
(check if sys.argv[2:] == ["check"] else write)(directory)
