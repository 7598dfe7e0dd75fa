"""Losses and their gradients as torch computes them in fp64, for loss_test.cpp: one safetensors file."""
import os
import sys

import torch
from safetensors.torch import save_file

ROWS, OUTPUTS = 13, 5
LOSSES = {
    "mse": torch.nn.MSELoss(),
    "smooth_l1": torch.nn.SmoothL1Loss(beta=1.0),
    "smooth_l1_narrow": torch.nn.SmoothL1Loss(beta=0.5),
    "cross_entropy": torch.nn.CrossEntropyLoss(),
    "cross_entropy_smoothed": torch.nn.CrossEntropyLoss(label_smoothing=0.1),
}


def main(directory):
    torch.manual_seed(11)
    os.makedirs(directory, exist_ok=True)
    # Differences on both sides of either beta; every class at least once.
    tensors = {"outputs": 2 * torch.randn(ROWS, OUTPUTS), "values": torch.randn(ROWS, OUTPUTS),
               "classes": (torch.arange(ROWS) % OUTPUTS)[torch.randperm(ROWS)].float()[:, None]}
    for name, loss in LOSSES.items():
        outputs = tensors["outputs"].double().requires_grad_()
        targets = tensors["classes"][:, 0].long() if name.startswith("cross") else tensors["values"].double()
        value = loss(outputs, targets)
        value.backward()
        tensors["loss." + name] = value.detach().reshape(1).float()
        tensors["gradient." + name] = outputs.grad.float()
    save_file(tensors, os.path.join(directory, "losses.safetensors"))


main(sys.argv[1])
