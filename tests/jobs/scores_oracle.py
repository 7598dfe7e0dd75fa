"""Scores as scikit-learn and scipy compute them, for metrics_test.cpp.

Usage: scores_oracle.py DIRECTORY; writes DIRECTORY/scores.json: a list of cases, each with a head, predictions, targets and every score by name
(null: undefined). Predictions and targets are fp32 values printed as doubles, so both sides see the same numbers.
"""
import json
import pathlib
import sys
import warnings

import numpy
from scipy import stats
from sklearn import metrics

warnings.filterwarnings("ignore")  # of undefined scores, which these cases are about
random = numpy.random.default_rng(3)


def mean_of_defined(values):
    defined = [value for value in values if not numpy.isnan(value)]
    return float(numpy.mean(defined)) if defined else float("nan")


def kappa(wanted, said):
    """With every grade from the lowest to the highest as a label; scikit-learn's default would close gaps between those that occur."""
    labels = list(range(int(min(wanted.min(), said.min())), int(max(wanted.max(), said.max())) + 1))
    return metrics.cohen_kappa_score(wanted.astype(int), said.astype(int), labels=labels, weights="quadratic")


def regression(labels, predicted, wanted):
    columns = range(len(labels))
    each = {"rmse": [metrics.root_mean_squared_error(wanted[:, c], predicted[:, c]) for c in columns],
            "mae": [metrics.mean_absolute_error(wanted[:, c], predicted[:, c]) for c in columns],
            "r2": [metrics.r2_score(wanted[:, c], predicted[:, c], force_finite=False) if len(set(wanted[:, c])) > 1 else float("nan") for c in columns],
            "pearson": [stats.pearsonr(predicted[:, c], wanted[:, c])[0] if len(wanted) > 1 else float("nan") for c in columns],
            "spearman": [stats.spearmanr(predicted[:, c], wanted[:, c])[0] if len(wanted) > 1 else float("nan") for c in columns]}
    if (wanted == numpy.rint(wanted)).all(0).any():
        each["qwk"] = [kappa(wanted[:, c], numpy.rint(predicted[:, c])) if (wanted[:, c] == numpy.rint(wanted[:, c])).all() else float("nan")
                       for c in columns]
        if all(numpy.isnan(each["qwk"])):
            del each["qwk"]
    scores = {"mcrmse": numpy.mean(each["rmse"])} | {name: mean_of_defined(values) for name, values in each.items()}
    scores["rmse"] = numpy.sqrt(metrics.mean_squared_error(wanted, predicted))
    if len(labels) > 1:
        scores |= {f"{name}/{label}": values[c] for name, values in each.items() for c, label in enumerate(labels)}
    return scores


def softmax(logits):
    exponentials = numpy.exp(logits - logits.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def area(is_positive, score):
    return metrics.roc_auc_score(is_positive, score) if 0 < is_positive.sum() < len(is_positive) else float("nan")


def classification(labels, logits, wanted):
    classes = list(range(len(labels)))
    probabilities = softmax(logits)
    said, truth = logits.argmax(1), wanted[:, 0].astype(int) if wanted.shape[1] == 1 else wanted.argmax(1)
    if wanted.shape[1] == 1:
        loss = metrics.log_loss(truth, probabilities, labels=classes)
    else:
        loss = -(wanted * numpy.log(probabilities)).sum(1).mean()  # scikit-learn has none of soft labels
    f1 = metrics.f1_score(truth, said, labels=classes, average=None, zero_division=numpy.nan)
    areas = [area(truth == c, probabilities[:, c]) for c in classes]
    scores = {"log_loss": loss, "accuracy": metrics.accuracy_score(truth, said),
              "f1_macro": metrics.f1_score(truth, said, average="macro", zero_division=numpy.nan),  # of the classes that occur
              "f1_micro": metrics.f1_score(truth, said, average="micro", zero_division=numpy.nan)}
    scores |= {f"f1/{label}": f1[c] for c, label in enumerate(labels)}
    if len(labels) == 2:
        scores |= {"f1": f1[1], "auc": area(truth == 1, probabilities[:, 1])}
    else:
        complete = set(truth) == set(classes)
        scores["auc"] = metrics.roc_auc_score(truth, probabilities, multi_class="ovr", average="macro") if complete else mean_of_defined(areas)
        scores |= {f"auc/{label}": areas[c] for c, label in enumerate(labels)}
    if all(label.lstrip("-").isdigit() for label in labels):
        grades = numpy.array([int(label) for label in labels])
        scores["qwk"] = kappa(grades[truth], grades[said])
    return scores


def multi_label(labels, logits, wanted):
    truth, said = wanted > 0.5, logits > 0
    probabilities = 1 / (1 + numpy.exp(-logits))
    columns = range(len(labels))
    if set(numpy.unique(wanted)) <= {0, 1}:
        loss = numpy.mean([metrics.log_loss(truth[:, c], probabilities[:, c], labels=[False, True]) for c in columns])
    else:
        loss = -(wanted * numpy.log(probabilities) + (1 - wanted) * numpy.log1p(-probabilities)).mean()
    f1 = [metrics.f1_score(truth[:, c], said[:, c], zero_division=numpy.nan) for c in columns]
    areas = [area(truth[:, c], probabilities[:, c]) for c in columns]
    scores = {"log_loss": loss, "accuracy": metrics.accuracy_score(truth, said), "f1_macro": mean_of_defined(f1),
              "f1_micro": metrics.f1_score(truth, said, average="micro", zero_division=numpy.nan), "auc": mean_of_defined(areas)}
    return scores | {f"f1/{label}": f1[c] for c, label in enumerate(labels)} | {f"auc/{label}": areas[c] for c, label in enumerate(labels)}


SCORES = {"regression": regression, "classification": classification, "multi_label": multi_label}
cases = []


def add(name, task, labels, predictions, targets):
    predictions, targets = numpy.asarray(predictions, numpy.float32).astype(float), numpy.asarray(targets, numpy.float32).astype(float)
    scores = {key: None if numpy.isnan(value) else float(value) for key, value in SCORES[task](labels, predictions, targets).items()}
    cases.append({"name": name, "task": task, "labels": labels, "predictions": predictions.tolist(), "targets": targets.tolist(), "scores": scores})


def noisy(targets, noise=1.0):
    return targets + noise * random.normal(size=targets.shape)


values = random.normal(size=(101, 4))
add("four targets", "regression", list("abcd"), noisy(values), values)
add("one target", "regression", ["a"], noisy(values[:, :1]), values[:, :1])
add("far from zero", "regression", ["a"], 1e4 + noisy(values[:, :1]), 1e4 + values[:, :1])
grades = random.integers(1, 7, size=(90, 2)).astype(float)
add("grades and ties", "regression", list("ab"), numpy.round(2 * noisy(grades)) / 2, grades)
gappy = random.choice([1.0, 2.0, 9.0], size=(60, 1))
add("grades with a gap", "regression", ["a"], noisy(gappy), gappy)
add("a constant target", "regression", list("ab"), noisy(values[:50, :2]), numpy.column_stack([values[:50, 0], numpy.full(50, 0.3)]))
add("constant predictions", "regression", list("ab"), numpy.full((50, 2), 0.1), values[:50, :2])
add("one row", "regression", list("ab"), [[0.5, 1.0]], [[1.0, 0.0]])

classes = random.integers(0, 5, size=(77, 1))
add("five classes", "classification", list("abcde"), 3 * numpy.eye(5)[classes[:, 0]] + 2 * random.normal(size=(77, 5)), classes)
binary = random.integers(0, 2, size=(80, 1))
add("two classes", "classification", ["no", "yes"], 2 * numpy.eye(2)[binary[:, 0]] + random.normal(size=(80, 2)), binary)
add("two classes with ties", "classification", ["no", "yes"], random.integers(0, 3, size=(80, 2)), binary)
add("one class only", "classification", ["no", "yes"], random.normal(size=(20, 2)), numpy.zeros((20, 1)))
rare = random.integers(0, 3, size=(50, 1))
add("classes that do not occur", "classification", list("abcde"), random.normal(size=(50, 5)) - [0, 0, 0, 0, 50], rare)
add("grades as classes", "classification", ["1", "10", "2", "3"], random.normal(size=(60, 4)), random.integers(0, 4, size=(60, 1)))
add("soft classes", "classification", list("abc"), random.normal(size=(40, 3)), softmax(3 * random.normal(size=(40, 3))))
labels = (random.random(size=(70, 3)) < 0.4).astype(float)
add("three labels", "multi_label", list("abc"), noisy(2 * labels - 1), labels)
add("a label without positives", "multi_label", list("abc"), noisy(2 * labels - 1), labels * [1, 1, 0])
add("a label never said or true", "multi_label", list("abc"), noisy(2 * labels - 1) - [0, 0, 90], labels * [1, 1, 0])
add("soft labels", "multi_label", list("abc"), noisy(2 * labels - 1), random.random(size=(70, 3)))

directory = pathlib.Path(sys.argv[1])
directory.mkdir(parents=True, exist_ok=True)
(directory / "scores.json").write_text(json.dumps(cases, allow_nan=False))
