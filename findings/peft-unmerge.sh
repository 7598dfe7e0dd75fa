#!/usr/bin/env bash
# Guess: unmerge_adapter takes back what merge_adapter did, so the base model is itself again.
# Seen: merging rounds base + update to the base's type, and unmerging subtracts from the rounded sum. A good part of
#   the weights comes back with another value, by a rounding step of the sum. In fp32 that is little; in bf16 it is
#   not, and each further round moves the weights further.
# Why it matters: evaluating with merged weights between epochs changes the frozen weights that the adapter is trained
#   over, and the adapter file is later put on a base that it was not trained with.
# Instead: keep a copy of the base's weights and put it back, or merge into a copy only.
. "$(dirname "$0")/common.sh"
export HF_HUB_OFFLINE=1

torch_packages 2.11.0 transformers==5.24.0
install --no-deps peft==0.21.2 accelerate==1.15.0 psutil==7.2.2
"$python" -W ignore - <<'PYTHON'
import peft
import torch
from expect import expect

print("peft", peft.__version__, "torch", torch.__version__)

class Model(torch.nn.Module):
    def __init__(self, dtype):
        super().__init__()
        self.query = torch.nn.Linear(256, 256, bias=False, dtype=dtype)
        self.query.weight.data.normal_(0, 0.02)

    def forward(self, inputs):
        return self.query(inputs)

def changes(dtype, rounds):
    """Share of the base's weights that differ after merging and unmerging, and the largest difference."""
    torch.manual_seed(0)
    model = peft.get_peft_model(Model(dtype), peft.LoraConfig(r=8, lora_alpha=16, target_modules=["query"]))
    layer = model.base_model.model.query
    layer.lora_B["default"].weight.data.normal_(0, 0.02)
    before = layer.base_layer.weight.detach().clone()
    for _ in range(rounds):
        model.merge_adapter()
        model.unmerge_adapter()
    after = layer.base_layer.weight.detach()
    return (after != before).double().mean().item(), (after.double() - before.double()).abs().max().item()

for dtype in (torch.bfloat16, torch.float32):
    for rounds in (1, 10):
        share, largest = changes(dtype, rounds)
        print(f"  {dtype}, {rounds} times: {share:.1%} of the weights changed, by up to {largest:.1e}")
expect("more than a tenth of the bf16 weights changed", changes(torch.bfloat16, 1)[0] > 0.1)
expect("more than a tenth of the fp32 weights changed", changes(torch.float32, 1)[0] > 0.1)
expect("bf16 weights are further off after ten rounds", changes(torch.bfloat16, 10)[1] > changes(torch.bfloat16, 1)[1])
PYTHON
