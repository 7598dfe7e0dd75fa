"""Loads a directory that `meshfold export` wrote with a head that transformers has no class for: the backbone with AutoModel, the head from
head.safetensors as `meshfold_head` in config.json describes it. Needs torch, transformers and safetensors.

    from load_model import HeadModel
    model = HeadModel("runs/mine/model").eval()
    logits = model([tokenizer(texts, padding=True, return_tensors="pt")])   # one entry a text of the sample; features= where it has some
"""
import json
import pathlib

import torch
from safetensors.torch import load_file
from torch.nn import functional
from transformers import AutoConfig, AutoModel
from transformers.activations import ACT2FN


class HeadModel(torch.nn.Module):
    def __init__(self, directory):
        super().__init__()
        directory = pathlib.Path(directory)
        self.settings = json.loads((directory / "config.json").read_text(encoding="utf-8"))["meshfold_head"]
        self.head = load_file(directory / self.settings["file"])
        without_pooler = {"add_pooling_layer": False} if AutoConfig.from_pretrained(directory).model_type == "bert" else {}
        self.backbone = AutoModel.from_pretrained(directory, **({} if self.settings["pooling"] == "cls" else without_pooler))

    def linear(self, name, x):
        return functional.linear(x, self.head[name + ".weight"], self.head[name + ".bias"])

    def pool(self, states, mask):
        """states: hidden states 0 .. L, each [texts, tokens, width]; mask: [texts, tokens], 1 for real tokens."""
        kind, last, real = self.settings["pooling"], states[-1], mask[:, :, None].bool()
        if kind == "cls":
            if "pooler.dense.weight" in self.head:  # DeBERTa's context pooler
                return ACT2FN[self.backbone.config.pooler_hidden_act](self.linear("pooler.dense", last[:, 0]))
            return self.backbone.pooler(last)
        if kind == "mean":
            return (last * real).sum(1) / real.sum(1)
        if kind == "max":
            return last.masked_fill(~real, -torch.inf).amax(1)
        if kind == "min":
            return last.masked_fill(~real, torch.inf).amin(1)
        if kind == "last":
            return last[torch.arange(len(last)), mask.sum(1) - 1]
        if kind == "attention":
            width = last.shape[-1:]
            x = functional.layer_norm(self.linear("pooling.dense", last), width, self.head["pooling.norm.weight"], self.head["pooling.norm.bias"])
            scores = self.linear("pooling.score", functional.gelu(x)).masked_fill(~real, -torch.inf)
            return (scores.softmax(1) * last).sum(1)
        if kind == "weighted_layers":
            weights = self.head["pooling.layer_weights"]
            x = sum(w * h for w, h in zip(weights, states[self.settings["first_layer"]:], strict=True)) / weights.sum()
            return x[:, 0] if self.settings["layer_pooling"] == "cls" else (x * real).sum(1) / real.sum(1)
        if kind == "concat_cls":
            return torch.cat([state[:, 0] for state in states[:-self.settings["num_layers"] - 1:-1]], 1)
        raise ValueError(f"pooling {kind} is not known here")

    def forward(self, texts, features=None):
        """texts: one entry a text of the sample, each what a tokenizer returns for all samples; features: [samples, features], as in the table."""
        vectors = []
        for inputs in texts:
            states = self.backbone(**inputs, output_hidden_states=True).hidden_states
            vectors.append(self.pool(states, inputs["attention_mask"]))
        if self.settings["features"]:
            mean, scale = (torch.tensor([feature[key] for feature in self.settings["features"]]) for key in ("mean", "scale"))
            vectors.append((features - mean) / scale)
        return self.linear("classifier", torch.cat(vectors, 1))
