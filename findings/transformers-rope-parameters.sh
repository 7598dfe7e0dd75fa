#!/usr/bin/env bash
# Guess: transformers 4.57 refuses a config.json of transformers 5 that it cannot follow.
# Seen: it reads rope_parameters, the key of 5, as an unknown extra: the rotary base is 10,000 whatever the file says.
# Why it matters: a Llama 3 has 500,000. The model loads without a word and computes with wrong positions; many
#   programs still stand on 4.57.
# Instead: write both rope_theta (with rope_scaling, where there is one) and rope_parameters; both versions read that.
. "$(dirname "$0")/common.sh"
export TRANSFORMERS_VERBOSITY=error HF_HUB_OFFLINE=1

cat >check.py <<'PYTHON'
import json
import os
import sys
import transformers
from expect import expect

def theta(**keys):
    json.dump({"model_type": "llama", **keys}, open("model/config.json", "w"))
    config = transformers.AutoConfig.from_pretrained("model")
    old = transformers.__version__.startswith("4.")
    return config.rope_theta if old else config.rope_parameters["rope_theta"]

print("transformers", transformers.__version__)
os.makedirs("model", exist_ok=True)
new, old = {"rope_parameters": {"rope_type": "default", "rope_theta": 500000.0}}, {"rope_theta": 500000.0}
expect("rotary base with rope_parameters of 500,000", theta(**new), float(sys.argv[1]))
expect("rotary base with rope_theta of 500,000", theta(**old), 500000.0)
expect("rotary base with both", theta(**new, **old), 500000.0)
PYTHON

packages transformers==5.24.0
"$python" check.py 500000
packages transformers==4.57.3
"$python" check.py 10000
