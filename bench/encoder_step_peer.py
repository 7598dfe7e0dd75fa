#!/usr/bin/env python3
"""The peer of encoder_step_bench: the same training step in transformers. Prints samples a second and the peak memory.

    encoder_step_peer.py make deberta-v3-base DIRECTORY
    encoder_step_peer.py step DIRECTORY fp32|autocast|bf16 BATCH THREADS STEPS

`autocast` keeps fp32 weights and multiplies in bf16; `bf16` has everything in bf16, weights and moments too. Give it an allocator that keeps
its blocks: GLIBC_TUNABLES=glibc.malloc.mmap_threshold=4294967296:glibc.malloc.trim_threshold=17179869184
"""

import resource
import sys
import time

import torch
import transformers

SHAPES = {
    "deberta-v3-base": lambda: transformers.DebertaV2Model(transformers.DebertaV2Config(
        vocab_size=128100, hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072, relative_attention=True,
        position_buckets=256, max_relative_positions=-1, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
        position_biased_input=False, type_vocab_size=0)),
    "bert-base": lambda: transformers.BertModel(transformers.BertConfig()),
}


def lengths_of(batch):
    return [int(part.split("x")[1]) for part in batch.split(",") for _ in range(int(part.split("x")[0]))]


def step(directory, kind, batch, threads, steps):
    torch.set_num_threads(threads)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(directory, num_labels=1, problem_type="regression").train()
    if kind == "bf16":
        model = model.bfloat16()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    lengths = lengths_of(batch)
    mask = (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()
    ids = torch.randint(5, 30000, mask.shape) * mask
    targets = torch.randn(len(lengths))
    seconds = 0.0
    for index in range(-1, steps):
        start = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
            logits = model(input_ids=ids, attention_mask=mask).logits
        torch.nn.functional.mse_loss(logits[:, 0].float(), targets).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if index >= 0:
            seconds += time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-9
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {kind}, batch {batch}, {threads} threads: "
          f"{steps * len(lengths) / seconds:.2f} samples/s, {seconds / steps:.3f} s a step, peak {peak:.2f} GB")


def main():
    if sys.argv[1] == "make":
        torch.manual_seed(1)
        SHAPES[sys.argv[2]]().save_pretrained(sys.argv[3])
    else:
        step(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))


main()
