#!/usr/bin/env bash
# Guess: a decoder's sequence classifier reads the last token that the attention mask calls real.
# Seen: it reads the last token whose id is not pad_token_id, whatever the mask says. A text that ends in that id is
#   read one token early; a masked token with another id is read as if it were the text's last.
# Why it matters: "pad_token = eos_token" is the usual line for decoders without a pad token. Texts that end in EOS
#   are then classified without it, and padding with any other id than the configured one gives a wrong result
#   silently.
# Instead: give the model a pad id that no text contains, pad with exactly that, and compare a batch with single
#   texts.
. "$(dirname "$0")/common.sh"
export TRANSFORMERS_VERBOSITY=error HF_HUB_OFFLINE=1

torch_packages 2.11.0 transformers==5.24.0
"$python" -W ignore - <<'PYTHON'
import torch
import transformers
from expect import expect

print("transformers", transformers.__version__, "torch", torch.__version__)
torch.manual_seed(0)
pad = 2
config = transformers.LlamaConfig(vocab_size=20, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_labels=2,
                                  pad_token_id=pad, eos_token_id=2)
model = transformers.LlamaForSequenceClassification(config).eval()

def logits(ids, mask):
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), attention_mask=torch.tensor([mask])).logits[0]

def same(left, right):
    return torch.allclose(left, right, atol=1e-5)

plain = logits([5, 6, 7], [1, 1, 1])
print("  logits of 5 6 7:", [round(value, 4) for value in plain.tolist()])
expect("5 6 7 EOS with a mask of ones is 5 6 7", same(logits([5, 6, 7, pad], [1, 1, 1, 1]), plain))
expect("5 6 7 and a masked 9 is 5 6 7", same(logits([5, 6, 7, 9], [1, 1, 1, 0]), plain), False)
expect("5 6 7 and a masked pad token is 5 6 7", same(logits([5, 6, 7, pad], [1, 1, 1, 0]), plain))
PYTHON
