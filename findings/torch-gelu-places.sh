#!/usr/bin/env bash
# Guess: an elementwise function gives a number the same result wherever it lies in a tensor.
# Seen: GELU, softplus, SiLU and sigmoid (fp32, CPU) have other last bits in vector code than in scalar code, which
#   gets strided tensors, single numbers and the rest at an array's end. GELU of a transposed view is a third
#   function.
# Why it matters: a text's result depends, in its last bits, on what lies beside it in the batch, so "the same bits
#   for any packing or number of ranks" cannot be had with these functions. tanh, exp and erf alone do give equal
#   bits.
# Instead: own kernels whose result depends on the number alone; in tests, tolerances rather than equality.
. "$(dirname "$0")/common.sh"

torch_packages 2.11.0
"$python" -W ignore - <<'PYTHON'
import torch
from torch.nn import functional
from expect import expect

print("torch", torch.__version__, "with", torch.backends.cpu.get_cpu_capability())
torch.set_num_threads(1)
torch.manual_seed(0)
numbers = torch.randn(4096)

def every_second(function):
    return function(torch.stack([numbers, numbers], 1)[:, 0])

def one_by_one(function):
    return torch.stack([function(number) for number in numbers])

def transposed(function):
    return function(numbers.view(64, 64).t()).t().reshape(-1)

def in_pieces(function):  # each piece has a rest at its end
    return torch.cat([function(piece) for piece in numbers.split(15)])

functions = {"tanh": torch.tanh, "exp": torch.exp, "erf": torch.erf, "sigmoid": torch.sigmoid, "softplus": functional.softplus, "SiLU": functional.silu,
             "GELU": functional.gelu, "GELU by tanh": lambda x: functional.gelu(x, approximate="tanh")}
other = {}
for name, function in functions.items():
    together = function(numbers)
    other[name] = [int((way(function) != together).sum()) for way in (every_second, one_by_one, transposed, in_pieces)]
    print("  {}: of 4096 results differ: every second element {}, one by one {}, transposed {}, in pieces of 15 {}".format(name, *other[name]))
expect("tanh, exp and erf are the same everywhere", sum(map(sum, (other["tanh"], other["exp"], other["erf"]))), 0)
for name in ("sigmoid", "softplus", "SiLU", "GELU", "GELU by tanh"):
    expect(f"{name} differs for every second element", other[name][0] > 0)
expect("GELU differs for a transposed view", other["GELU"][2] > 0)
expect("GELU by tanh differs in pieces", other["GELU by tanh"][3] > 0)
PYTHON
