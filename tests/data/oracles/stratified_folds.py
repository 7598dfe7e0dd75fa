"""Splits of real data sets by scikit-learn and iterative-stratification, and the labels that they were made from."""
import csv
import os
import sys

import numpy
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from binary import OracleFile

DATA = os.environ["MESHFOLD_TEST_DATA"]


def rows(name, count):
    with open(os.path.join(DATA, name), encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    return [table[i] for i in numpy.random.default_rng(1).permutation(len(table))[:count]]


def codes(values):
    return numpy.unique(values, return_inverse=True)[1]


def binned(values, bins=10):
    edges = numpy.quantile(values, numpy.arange(1, bins) / bins)
    return codes(numpy.searchsorted(edges, values, side="right"))


def one_hot(columns):
    """Every value of every column as a label of its own."""
    return numpy.concatenate([numpy.eye(column.max() + 1, dtype=int)[column] for column in columns], axis=1)


def worst_deviation(labels, folds):
    whole = labels.mean(0)
    return max(numpy.abs(labels[folds == fold].mean(0) - whole).max() for fold in numpy.unique(folds))


def assignment(splitter, labels, groups=None):
    folds = numpy.empty(len(labels), dtype=int)
    for fold, (_, held_out) in enumerate(splitter.split(numpy.zeros(len(labels)), labels, groups)):
        folds[held_out] = fold
    return folds


def write(out, name, num_folds, labels, groups, theirs):
    out.text(name)
    out.number(num_folds)
    out.number(labels.shape[1])
    out.number(len(labels))
    for row in labels:
        out.ids(numpy.flatnonzero(row).tolist())
    out.number(0 if groups is None else 1)
    out.ids([] if groups is None else groups.tolist())
    out.text(repr(float(theirs)))


def main(directory):
    os.makedirs(directory, exist_ok=True)
    out = OracleFile(os.path.join(directory, "splits.bin"))
    vader, pairs = rows("vader.csv", 5000), rows("ua_gec.csv", 4000)
    winner, author = codes([row["winner"] for row in pairs]), codes([row["author"] for row in pairs])
    source, doc = codes([row["source"] for row in vader]), codes([row["doc"] for row in vader])
    targets = ["mean", "sd", "share_negative", "share_neutral", "share_positive", "median"]
    binned_targets = one_hot([binned(numpy.array([float(row[target]) for row in vader])) for target in targets])
    for num_folds in (3, 5):
        def best_of(make, labels, groups=None):
            """The mean over two seeds: one of them can be lucky."""
            single = labels.argmax(1) if make is not MultilabelStratifiedKFold else labels
            return numpy.mean([worst_deviation(labels, assignment(make(num_folds, shuffle=True, random_state=seed), single, groups))
                               for seed in range(2)])
        for name, label, groups in (("winner", winner, author), ("source", source, doc)):
            labels = one_hot([label])
            write(out, f"stratified {name}", num_folds, labels, None, best_of(StratifiedKFold, labels))
            write(out, f"stratified_group {name}", num_folds, labels, groups, best_of(StratifiedGroupKFold, labels, groups))
        write(out, "multilabel_stratified targets", num_folds, binned_targets, None, best_of(MultilabelStratifiedKFold, binned_targets))
        # No library has a multilabel-stratified group split; scikit-learn's on the first target's bins is the nearest.
        first = binned_targets[:, :10]
        theirs = numpy.mean([worst_deviation(binned_targets, assignment(
            StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed), first.argmax(1), doc)) for seed in range(2)])
        write(out, "multilabel_stratified_group targets", num_folds, binned_targets, doc, theirs)
    out.close()


main(sys.argv[1])
