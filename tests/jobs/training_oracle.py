"""Reference values of training's small parts: torch.optim.AdamW, transformers' schedules, torch's plateau rule.

Usage: training_oracle.py DIRECTORY; writes DIRECTORY/training.json, whose numbers are exact (fp32 values printed as doubles).
"""
import json
import pathlib
import sys
import types

import numpy
import torch
import transformers


def adamw():
    torch.manual_seed(1)
    shapes = {"matrix.weight": (7, 5), "matrix.bias": (7,), "table.weight": (13, 3)}
    parameters = {name: torch.nn.Parameter(torch.randn(shape)) for name, shape in shapes.items()}
    start = {name: p.detach().flatten().tolist() for name, p in parameters.items()}
    optimizer = torch.optim.AdamW(
        [{"params": [p for n, p in parameters.items() if not n.endswith("bias")], "weight_decay": 0.1},
         {"params": [p for n, p in parameters.items() if n.endswith("bias")], "weight_decay": 0.0}],
        lr=0.02, betas=(0.9, 0.98), eps=1e-6)
    steps = []
    for step in range(20):
        learning_rate = 0.02 * (1 - step / 25)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate
        for p in parameters.values():
            p.grad = torch.randn(p.shape) * 3.0 ** (step % 5 - 2)
        gradient = {name: p.grad.flatten().tolist() for name, p in parameters.items()}
        # Clipping: what the optimizer sees is scaled, what is handed over is not.
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), 2.0)
        optimizer.step()
        steps.append({"learning_rate": learning_rate, "norm": norm.item(), "gradient": gradient,
                      "value": {name: p.detach().flatten().tolist() for name, p in parameters.items()}})
    return {"shapes": shapes, "start": start, "max_norm": 2.0, "steps": steps}


def schedules():
    cases = []
    for num_steps, ratio in [(100, 0.1), (33, 0.1), (7, 0.5), (10, 0.0), (1, 0.1), (281, 0.06)]:
        # transformers 5 takes a share of the steps through the same argument as a number of steps.
        # Its rule alone: a whole TrainingArguments asks for accelerate.
        warmup = transformers.TrainingArguments.get_warmup_steps(types.SimpleNamespace(warmup_steps=ratio), num_steps)
        cosine, restarts = transformers.get_cosine_schedule_with_warmup, transformers.get_cosine_with_hard_restarts_schedule_with_warmup
        polynomial = transformers.get_polynomial_decay_schedule_with_warmup
        for kind, options, make in [
                ("linear", {}, lambda o: transformers.get_linear_schedule_with_warmup(o, warmup, num_steps)),
                ("constant", {}, lambda o: transformers.get_constant_schedule_with_warmup(o, warmup)),
                ("cosine", {}, lambda o: cosine(o, warmup, num_steps)),
                ("cosine", {"num_cycles": 2.25}, lambda o: cosine(o, warmup, num_steps, num_cycles=2.25)),
                ("cosine_restarts", {}, lambda o: restarts(o, warmup, num_steps)),
                ("cosine_restarts", {"num_cycles": 3}, lambda o: restarts(o, warmup, num_steps, num_cycles=3)),
                ("polynomial", {"end_ratio": 1e-7}, lambda o: polynomial(o, warmup, num_steps)),
                ("polynomial", {"power": 2.5, "end_ratio": 0.125}, lambda o: polynomial(o, warmup, num_steps, lr_end=0.125, power=2.5))]:
            optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
            scheduler = make(optimizer)
            factors = []
            # Past the end the polynomial divides by the steps after the warm-up.
            for _ in range(num_steps + 2 if warmup < num_steps else num_steps):
                factors.append(scheduler.get_last_lr()[0])
                optimizer.step()
                if len(factors) < num_steps or warmup < num_steps:
                    scheduler.step()
            cases.append({"kind": kind, "num_steps": num_steps, "warmup_ratio": ratio, "warmup_steps": warmup, "factors": factors, **options})
    return cases


def plateaus():
    random = numpy.random.default_rng(5)
    cases = []
    for mode, patience, threshold, cooldown, min_ratio in [
            ("min", 0, 1e-4, 0, 0.0), ("min", 2, 0.02, 0, 0.0), ("max", 1, 1e-4, 2, 0.0), ("max", 0, 0.1, 1, 0.03), ("min", 3, 0.0, 0, 0.2)]:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, mode=mode, factor=0.5, patience=patience, threshold=threshold, cooldown=cooldown, min_lr=min_ratio, eps=0.0)
        scores = (0.7 + 0.2 * random.random(60)).tolist()
        factors = []
        for score in scores:
            scheduler.step(score)
            factors.append(scheduler.get_last_lr()[0])
        cases.append({"mode": mode, "patience": patience, "threshold": threshold, "cooldown": cooldown, "min_ratio": min_ratio,
                      "scores": scores, "factors": factors})
    return cases


directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
reference = {"adamw": adamw(), "schedules": schedules(), "plateaus": plateaus()}
(directory / "training.json").write_text(json.dumps(reference))
