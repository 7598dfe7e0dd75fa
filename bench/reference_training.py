#!/usr/bin/env python3
"""The peer: the same recipe in transformers, for one fold. Prints MCRMSE after every epoch and samples/s.

AdamW, linear schedule with 10 % warm-up, MSE on the raw targets, dynamic padding, clipping at 1. `--folds-csv` takes the
folds of a Meshfold run, so that both train and score the same rows.
"""

import argparse
import csv
import math
import time

import numpy
import torch
import transformers


def read(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def batches(rows, size):
    for start in range(0, len(rows), size):
        yield rows[start:start + size]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True)
    parser.add_argument("--folds-csv", required=True)
    parser.add_argument("--fold", type=int, default=0)
    parser.add_argument("--model", required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=5e-5)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--bf16", action="store_true", help="bf16 autocast")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    targets = options.targets.split(",")
    folds = {row["id"]: int(row["fold"]) for row in read(options.folds_csv)}
    table = read(options.table)
    training = [r for r in table if folds[r["id"]] != options.fold]
    validation = [r for r in table if folds[r["id"]] == options.fold]

    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(options.model, num_labels=len(targets), problem_type="regression")
    decayed = [p for n, p in model.named_parameters() if "bias" not in n and "LayerNorm" not in n]
    kept = [p for n, p in model.named_parameters() if "bias" in n or "LayerNorm" in n]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": 0.01}, {"params": kept, "weight_decay": 0.0}], lr=options.learning_rate)
    steps = options.epochs * math.ceil(len(training) / options.batch_size)
    schedule = transformers.get_linear_schedule_with_warmup(optimizer, math.ceil(0.1 * steps), steps)

    def forward(rows):
        inputs = tokenizer([r["text"] for r in rows], truncation=True, max_length=options.max_length, padding=True, return_tensors="pt")
        with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
            logits = model(**inputs).logits.float()
        return logits, torch.tensor([[float(r[t]) for t in targets] for r in rows])

    generator = numpy.random.default_rng(options.seed)
    for epoch in range(options.epochs):
        model.train()
        order, began = generator.permutation(len(training)), time.perf_counter()
        for batch in batches(order, options.batch_size):
            logits, truth = forward([training[i] for i in batch])
            torch.nn.functional.mse_loss(logits, truth).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        seconds = time.perf_counter() - began
        model.eval()
        with torch.no_grad():
            pairs = [forward(rows) for rows in batches(validation, 64)]
        errors = torch.cat([logits - truth for logits, truth in pairs]).double()
        print(f"fold {options.fold} epoch {epoch + 1}: mcrmse {errors.square().mean(0).sqrt().mean():.4f}, "
              f"{len(training) / seconds:.1f} samples/s on {options.threads} threads", flush=True)


if __name__ == "__main__":
    main()
