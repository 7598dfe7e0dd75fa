#!/usr/bin/env python3
"""The peer of compare_training.py: the same fine-tuning by Hugging Face's Trainer. Prints one JSON line: seconds since the epoch at
the end of every optimizer step.

Trainer needs accelerate: pip install --no-deps --target DIR accelerate psutil, and PYTHONPATH=DIR.
"""

import argparse
import csv
import json
import tempfile
import time

import torch
import transformers


class Clock(transformers.TrainerCallback):
    def __init__(self):
        self.times = []

    def on_step_end(self, args, state, control, **kwargs):
        self.times.append(time.time())


class Rows(torch.utils.data.Dataset):
    """Tokenized once and whole; padded batch by batch."""

    def __init__(self, table, tokenizer, targets, max_length):
        with open(table, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        ids = tokenizer([row["text"] for row in rows], truncation=True, max_length=max_length)["input_ids"]
        self.rows = [{"input_ids": i, "labels": [float(row[t]) for t in targets], "length": len(i)} for i, row in zip(ids, rows)]
        self.column_names = ["input_ids", "labels", "length"]

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        if isinstance(index, str):
            return [row[index] for row in self.rows]
        return self.rows[index]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--max-length", type=int, default=128)
    parser.add_argument("--precision", choices=["bf16", "fp32"], default="bf16")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    targets = options.targets.split(",")
    tokenizer = transformers.AutoTokenizer.from_pretrained(options.model)
    rows = Rows(options.table, tokenizer, targets, options.max_length)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        options.model, num_labels=len(targets), problem_type="regression", attn_implementation=options.attention)
    pad = transformers.DataCollatorWithPadding(tokenizer)

    def collate(batch):
        return pad([{"input_ids": row["input_ids"], "labels": row["labels"]} for row in batch])

    clock = Clock()
    with tempfile.TemporaryDirectory() as scratch:
        arguments = transformers.TrainingArguments(
            output_dir=scratch, use_cpu=True, bf16=options.precision == "bf16", num_train_epochs=1,
            per_device_train_batch_size=options.batch_size, learning_rate=5e-5, weight_decay=0.01, max_grad_norm=1.0,
            lr_scheduler_type="linear", warmup_steps=0.1, train_sampling_strategy="group_by_length", length_column_name="length",
            remove_unused_columns=False, save_strategy="no", logging_strategy="no", report_to=[], disable_tqdm=True)
        transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[clock]).train()
    print(json.dumps({"times": clock.times}), flush=True)


if __name__ == "__main__":
    main()
