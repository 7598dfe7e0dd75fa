#!/usr/bin/env bash
# Guess: log_loss of the same probabilities is the same number in fp64, fp32 and fp16, up to rounding.
# Seen: a probability of zero is clipped at the machine epsilon of the array's type, so one certain and wrong answer
#   costs 36.0, 15.9 or 6.9.
# Why it matters: predictions saved in half precision get a better score than the same ones in double, and the floor
#   is part of a score's definition that nobody writes down.
# Instead: compute from logits with log-sum-exp, which needs no floor, or clip oneself and say at what.
. "$(dirname "$0")/common.sh"

packages scikit-learn==1.9.1
"$python" - <<'PYTHON'
import numpy
import sklearn
from sklearn.metrics import log_loss
from expect import expect

print("scikit-learn", sklearn.__version__)
probabilities = numpy.array([[1.0, 0.0]])
for kind, loss in ((numpy.float64, 36.044), (numpy.float32, 15.942), (numpy.float16, 6.93)):
    seen = log_loss([1], probabilities.astype(kind), labels=[0, 1])
    expect(f"log-loss of a probability of zero in {kind.__name__}", round(float(seen), 2), round(loss, 2))
PYTHON
