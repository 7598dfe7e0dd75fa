#!/usr/bin/env python3
"""Cut a seeded training table and a held-out test table out of a CSV file.

Whole groups are drawn in an order that a hash of the seed and the group's name gives, so the cut is the same on every
machine and Python version, no group is in both tables, and rows keep the order of the source. Writes into --out:
train.csv (all columns), test.csv (without --targets), test_truth.csv (id and targets) and sample_submission.csv.
"""

import argparse
import csv
import hashlib
import os
import sys
from pathlib import Path


def ordered_groups(rows, column, seed):
    names = dict.fromkeys(row[column] for row in rows)
    return sorted(names, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())


def draw(groups, sizes, wanted):
    """Groups from the front of `groups` until `wanted` rows are reached; they are taken off the list."""
    taken, count = set(), 0
    while groups and count < wanted:
        name = groups.pop(0)
        taken.add(name)
        count += sizes[name]
    if count < wanted:
        raise SystemExit(f"cut_table.py: the table has too few rows for {wanted} more")
    return taken


def write(path, header, rows):
    partial = path.with_name(path.name + ".part")
    with open(partial, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(partial, path)
    print(f"{path} rows={len(rows)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=3000, help="training rows, at least (whole groups)")
    parser.add_argument("--test-rows", type=int, default=600, help="held-out rows, at least")
    parser.add_argument("--group", default="doc", help="column whose values are never split")
    parser.add_argument("--targets", required=True, help="comma-separated target columns, hidden from the test table")
    parser.add_argument("--hide", default="", help="further columns to leave out of the test table")
    parser.add_argument("--id", default="id")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()

    csv.field_size_limit(1 << 24)
    with open(options.table, encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows, header = list(reader), reader.fieldnames
    sizes = {}
    for row in rows:
        sizes[row[options.group]] = sizes.get(row[options.group], 0) + 1
    groups = ordered_groups(rows, options.group, options.seed)
    training = draw(groups, sizes, options.rows)
    held_out = draw(groups, sizes, options.test_rows)

    targets = options.targets.split(",")
    hidden = targets + [name for name in options.hide.split(",") if name]
    train_rows = [row for row in rows if row[options.group] in training]
    test_rows = [row for row in rows if row[options.group] in held_out]
    means = {name: f"{sum(float(row[name]) for row in train_rows) / len(train_rows):.6g}" for name in targets}
    options.out.mkdir(parents=True, exist_ok=True)
    write(options.out / "train.csv", header, train_rows)
    write(options.out / "test.csv", [name for name in header if name not in hidden], test_rows)
    write(options.out / "test_truth.csv", [options.id, *targets], test_rows)
    write(options.out / "sample_submission.csv", [options.id, *targets], [{**row, **means} for row in test_rows])
    return 0


if __name__ == "__main__":
    sys.exit(main())
