#!/usr/bin/env python3
"""The peer of encoder_step_bench: the same training step or inference in transformers. Prints samples a second and the peak memory.

    encoder_step_peer.py make deberta-v3-base DIRECTORY
    encoder_step_peer.py step|inference DIRECTORY fp32|autocast|bf16 BATCH THREADS STEPS

BATCH is one padded batch, 8x16,8x24; a slash begins another, 8x16/8x24, so that texts may be grouped by length: their gradients are added up to one step.
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
    # Small, so that activations outweigh what is kept for every weight.
    "deberta-v3-small-long": lambda: transformers.DebertaV2Model(transformers.DebertaV2Config(
        vocab_size=30000, hidden_size=256, num_hidden_layers=6, num_attention_heads=4, intermediate_size=1024, relative_attention=True,
        position_buckets=256, max_relative_positions=-1, pos_att_type=["p2c", "c2p"], share_att_key=True, norm_rel_ebd="layer_norm",
        position_biased_input=False, type_vocab_size=0)),
    "bert-base": lambda: transformers.BertModel(transformers.BertConfig()),
}


def lengths_of(batch):
    return [int(part.split("x")[1]) for part in batch.split(",") for _ in range(int(part.split("x")[0]))]


def mask_of(batch):
    """Attention mask [texts, longest] of one batch."""
    lengths = lengths_of(batch)
    return (torch.arange(max(lengths))[None, :] < torch.tensor(lengths)[:, None]).long()


def fresh_ids(mask):
    return torch.randint(5, 30000, mask.shape) * mask


def load(directory, kind, threads):
    torch.set_num_threads(threads)
    attention = {} if "deberta" in transformers.AutoConfig.from_pretrained(directory).model_type else {"attn_implementation": "sdpa"}
    model = transformers.AutoModelForSequenceClassification.from_pretrained(directory, num_labels=1, problem_type="regression", **attention)
    return model.bfloat16() if kind == "bf16" else model


def seconds_of(steps, work):
    work()
    start = time.perf_counter()
    for _ in range(steps):
        work()
    return (time.perf_counter() - start) / steps


def report(kind, batch, threads, mode, seconds):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024e-9
    samples = len(lengths_of(batch.replace("/", ",")))
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {mode}, {kind}, batch {batch}, {threads} threads: "
          f"{samples / seconds:.2f} samples/s, {seconds:.3f} s, peak {peak:.2f} GB")


def step(directory, kind, batch, threads, steps):
    model = load(directory, kind, threads).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    masks = [mask_of(group) for group in batch.split("/")]
    targets = [torch.randn(len(mask)) for mask in masks]
    samples = sum(len(mask) for mask in masks)

    def work():
        for mask, target in zip(masks, targets):
            with torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
                logits = model(input_ids=fresh_ids(mask), attention_mask=mask).logits
            (torch.nn.functional.mse_loss(logits[:, 0].float(), target) * (len(mask) / samples)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    report(kind, batch, threads, "step", seconds_of(steps, work))


def inference(directory, kind, batch, threads, steps):
    model = load(directory, kind, threads).eval()
    masks = [mask_of(group) for group in batch.split("/")]

    def work():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=kind == "autocast"):
            for mask in masks:
                model(input_ids=fresh_ids(mask), attention_mask=mask)

    report(kind, batch, threads, "inference", seconds_of(steps, work))


def main():
    if sys.argv[1] == "make":
        torch.manual_seed(1)
        SHAPES[sys.argv[2]]().save_pretrained(sys.argv[3])
    else:
        mode = {"step": step, "inference": inference}[sys.argv[1]]
        mode(sys.argv[2], sys.argv[3], sys.argv[4], int(sys.argv[5]), int(sys.argv[6]))


main()
