#!/usr/bin/env bash
# Guess: in bf16 on a CPU, gradients are summed over rows in fp32 and rounded to bf16 at the end, as matrix products
#   do.
# Seen: LayerNorm's backward sums its weight and bias gradients in bf16, one sum per thread, even for fp32 weights.
#   From 256 on, adding 1 to a bf16 number changes nothing: with 16,384 rows of ones the bias gets 256 per thread.
#   Embedding with bf16 weights is the same. A linear's bias is right.
# Why it matters: the larger the batch, the more of the gradient of norms and frequent words is lost, and the result
#   depends on the number of threads. Nothing is NaN.
# Instead: give LayerNorm fp32 input, or sum these gradients in fp32 by a function of one's own.
. "$(dirname "$0")/common.sh"

torch_packages 2.11.0
"$python" -W ignore - <<'PYTHON'
import torch
from expect import expect

print("torch", torch.__version__)
rows, width = 16384, 64

def layer_norm_bias(threads, input_type, weight_type):
    torch.set_num_threads(threads)
    norm = torch.nn.LayerNorm(width).to(weight_type)
    inputs = torch.randn(rows, width).to(input_type).requires_grad_()
    outputs = norm(inputs)
    outputs.backward(torch.ones_like(outputs))
    return norm.bias.grad[0].item()

bf16, fp32 = torch.bfloat16, torch.float32
print("  the true gradient is", rows)
expect("LayerNorm's bias, fp32, 1 thread", layer_norm_bias(1, fp32, fp32), 16384.0)
expect("LayerNorm's bias, bf16, 1 thread", layer_norm_bias(1, bf16, bf16), 256.0)
expect("LayerNorm's bias, bf16, 2 threads", layer_norm_bias(2, bf16, bf16), 512.0)
expect("LayerNorm's bias, bf16 input and fp32 weights, 1 thread", layer_norm_bias(1, bf16, fp32), 256.0)

linear = torch.nn.Linear(width, 4).to(bf16)
linear(torch.randn(rows, width).to(bf16)).sum().backward()
expect("Linear's bias, bf16", linear.bias.grad[0].item(), 16384.0)

embedding = torch.nn.Embedding(2, width).to(bf16)
embedding(torch.zeros(rows, dtype=torch.long)).sum().backward()
expect("Embedding's row of one word that comes 16,384 times, bf16", embedding.weight.grad[0, 0].item(), 256.0)
PYTHON
