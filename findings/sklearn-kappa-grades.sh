#!/usr/bin/env bash
# Guess: quadratic weights of cohen_kappa_score are squared differences of the grades themselves.
# Seen: they are squared differences of the grades' places among those that occur. With 1, 2 and 6 present, 6 counts
#   as one step from 2. Grades that nobody used change the score as soon as they are named in labels.
# Why it matters: quadratic weighted kappa is the usual score of essays. Per fold or per small test set some grades
#   are missing, so its values are on different scales and cannot be compared or averaged.
# Instead: always give labels, all grades of the scale in their order.
. "$(dirname "$0")/common.sh"

packages scikit-learn==1.9.1
"$python" - <<'PYTHON'
import sklearn
from sklearn.metrics import cohen_kappa_score
from expect import expect

print("scikit-learn", sklearn.__version__)
truth = [1, 1, 1, 2, 2, 6, 6, 6]
said = [1, 1, 2, 2, 2, 6, 6, 1]

def kappa(truth, said, **options):
    return round(float(cohen_kappa_score(truth, said, weights="quadratic", **options)), 3)

def six_as_three(grades):
    return [3 if grade == 6 else grade for grade in grades]

expect("quadratic weighted kappa of grades 1, 2 and 6", kappa(truth, said), 0.545)
expect("the same with every 6 called 3", kappa(six_as_three(truth), six_as_three(said)), 0.545)
expect("grades 1, 2 and 6 with labels 1 to 6", kappa(truth, said, labels=[1, 2, 3, 4, 5, 6]), 0.652)
PYTHON
