#!/usr/bin/env bash
# Guess: MultilabelStratifiedKFold spreads the values of every column evenly over the folds, grades from 1 to 5 too.
# Seen: it casts labels to bool. Grades from 1 to 5 are all "true", so its folds are those of a table of ones: random.
# Why it matters: it is the usual way to stratify essays by several scores. The folds look fine, nothing warns, and
#   rare grades are spread by luck.
# Instead: give it one column of 0 and 1 for every grade or bin, or stratify by one's own counts.
. "$(dirname "$0")/common.sh"

packages iterative-stratification==0.1.9 scikit-learn==1.9.1 numpy==2.4.6
"$python" - <<'PYTHON'
from importlib.metadata import version
import numpy
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from expect import expect

print("iterative-stratification", version("iterative-stratification"))
grades = numpy.random.default_rng(0).choice([1, 2, 3, 4, 5], p=[0.1, 0.2, 0.4, 0.2, 0.1], size=(200, 2))

def folds(labels):
    splitter = MultilabelStratifiedKFold(n_splits=5, shuffle=True, random_state=0)
    return [test.tolist() for _, test in splitter.split(numpy.zeros(len(labels)), labels)]

def fives(labels):
    return [int((grades[fold, 0] == 5).sum()) for fold in folds(labels)]

expect("folds of the grades are the folds of ones", folds(grades) == folds(numpy.ones_like(grades)))
one_column_per_grade = numpy.concatenate([grades == grade for grade in range(1, 6)], axis=1)
print("  fives of the first score per fold, grades given:", fives(grades))
print("  fives of the first score per fold, a column per grade:", fives(one_column_per_grade))
def spread(counts):
    return max(counts) - min(counts)
expect("a column per grade spreads them more evenly", spread(fives(one_column_per_grade)) < spread(fives(grades)))
PYTHON
