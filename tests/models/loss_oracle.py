"""Losses and their gradients as torch computes them in fp64, for loss_test.cpp: one safetensors file."""
import os
import sys

import torch
from safetensors.torch import save_file
from torch.nn import functional

ROWS, OUTPUTS = 13, 5
CLASS_WEIGHTS = torch.tensor([0.5, 2.0, 1.0, 0.0, 3.0], dtype=torch.float64)
POSITIVE_WEIGHT = torch.tensor([1.0, 0.25, 4.0, 2.0, 0.5], dtype=torch.float64)
TARGET_WEIGHTS = torch.tensor([1.0, 2.0, 0.5, 0.0, 1.5], dtype=torch.float64)


def over_targets(errors):
    """Mean over samples, then weighted mean over targets, of errors [samples, targets]."""
    return (errors.mean(0) * TARGET_WEIGHTS).sum() / TARGET_WEIGHTS.sum()


# name -> (which targets, loss)
LOSSES = {
    "mse": ("values", torch.nn.MSELoss()),
    "mae": ("values", torch.nn.L1Loss()),
    "smooth_l1": ("values", torch.nn.SmoothL1Loss(beta=1.0)),
    "smooth_l1_narrow": ("values", torch.nn.SmoothL1Loss(beta=0.5)),
    "rmse_elementwise": ("values", lambda p, t: torch.sqrt(functional.mse_loss(p, t, reduction="none") + 1e-9).mean()),
    "rmse": ("values", lambda p, t: torch.sqrt(functional.mse_loss(p, t))),
    "mcrmse": ("values", lambda p, t: torch.sqrt(functional.mse_loss(p, t, reduction="none").mean(0)).mean()),
    "mse_weighted": ("values", lambda p, t: over_targets((p - t) ** 2)),
    "mae_weighted": ("values", lambda p, t: over_targets((p - t).abs())),
    "rmse_weighted": ("values", lambda p, t: torch.sqrt(over_targets((p - t) ** 2))),
    "mcrmse_weighted": ("values", lambda p, t: (((p - t) ** 2).mean(0).sqrt() * TARGET_WEIGHTS).sum() / TARGET_WEIGHTS.sum()),
    "cross_entropy": ("classes", torch.nn.CrossEntropyLoss()),
    "cross_entropy_smoothed": ("classes", torch.nn.CrossEntropyLoss(label_smoothing=0.1)),
    "cross_entropy_weighted": ("classes", torch.nn.CrossEntropyLoss(weight=CLASS_WEIGHTS)),
    "cross_entropy_weighted_smoothed": ("classes", torch.nn.CrossEntropyLoss(weight=CLASS_WEIGHTS, label_smoothing=0.2)),
    "soft_cross_entropy": ("shares", torch.nn.CrossEntropyLoss()),
    "soft_cross_entropy_weighted_smoothed": ("shares", torch.nn.CrossEntropyLoss(weight=CLASS_WEIGHTS, label_smoothing=0.2)),
    "bce": ("labels", torch.nn.BCEWithLogitsLoss()),
    "bce_soft": ("probabilities", torch.nn.BCEWithLogitsLoss()),
    "bce_weighted": ("probabilities", torch.nn.BCEWithLogitsLoss(pos_weight=POSITIVE_WEIGHT)),
}


def main(directory):
    torch.manual_seed(11)
    os.makedirs(directory, exist_ok=True)
    # Differences on both sides of either beta, and none at all; every class at least once.
    outputs, values = 2 * torch.randn(ROWS, OUTPUTS), torch.randn(ROWS, OUTPUTS)
    values[3, 2] = outputs[3, 2]
    tensors = {"outputs": outputs, "values": values,
               "classes": (torch.arange(ROWS) % OUTPUTS)[torch.randperm(ROWS)].float()[:, None],
               "shares": torch.softmax(2 * torch.randn(ROWS, OUTPUTS), 1),
               "labels": (torch.rand(ROWS, OUTPUTS) < 0.4).float(), "probabilities": torch.rand(ROWS, OUTPUTS)}
    for name, (targets_name, loss) in LOSSES.items():
        outputs = tensors["outputs"].double().requires_grad_()
        targets = tensors[targets_name]
        value = loss(outputs, targets[:, 0].long() if targets_name == "classes" else targets.double())
        value.backward()
        tensors["loss." + name] = value.detach().reshape(1).float()
        tensors["gradient." + name] = outputs.grad.float()
    save_file(tensors, os.path.join(directory, "losses.safetensors"))


main(sys.argv[1])
