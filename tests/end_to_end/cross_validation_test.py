"""The main line on several ranks: every output exists, is complete, and says what the program says."""

import math
import unittest

import numpy
from sklearn.metrics import root_mean_squared_error

import harness
from harness import TARGETS, json_lines, read_csv, run


class CrossValidation(harness.EndToEnd):
    def cross_validate(self, name, ranks, **changes):
        directory = self.scratch / name
        result = run(ranks, "cv", *self.settings(directory, **changes))
        self.assert_done(result)
        return directory, result

    def check_out_of_fold(self, directory, folds):
        table, oof = read_csv(self.tables / "train.csv"), read_csv(directory / "oof.csv")
        self.assertEqual([row["id"] for row in oof], [row["id"] for row in table])
        assigned = read_csv(directory / "folds.csv")
        self.assertEqual([(r["id"], r["fold"]) for r in oof], [(r["id"], r["fold"]) for r in assigned])
        self.assertEqual({int(r["fold"]) for r in oof}, set(range(folds)))
        groups = {}
        for row, source in zip(oof, table):
            groups.setdefault(source["doc"], set()).add(row["fold"])
            for target in TARGETS:
                self.assertAlmostEqual(float(row[target]), float(source[target]), places=5)
                self.assertTrue(math.isfinite(float(row[f"pred_{target}"])))
        self.assertTrue(all(len(f) == 1 for f in groups.values()), "a group is in two folds")
        return oof

    def test_writes_every_output_on_ranks_that_do_not_divide_evenly(self):
        directory, result = self.cross_validate(
            "four-ranks", 4, data__test=self.tables / "test.csv", data__sample_submission=self.tables / "sample_submission.csv")

        oof = self.check_out_of_fold(directory, 3)
        truth = numpy.array([[float(r[t]) for t in TARGETS] for r in oof])
        predicted = numpy.array([[float(r[f"pred_{t}"]) for t in TARGETS] for r in oof])
        mcrmse = numpy.mean([root_mean_squared_error(truth[:, c], predicted[:, c]) for c in range(len(TARGETS))])
        self.assertIn(f"{mcrmse:.4f}", result.stdout, "the printed pooled score is not that of oof.csv")

        sample, submission = (read_csv(p) for p in (self.tables / "sample_submission.csv", directory / "submission.csv"))
        self.assertEqual(list(sample[0]), list(submission[0]))
        self.assertEqual([r["id"] for r in sample], [r["id"] for r in submission])
        self.assertNotEqual([r["mean"] for r in sample], [r["mean"] for r in submission])

        for fold in range(3):
            kinds = [line["kind"] for line in json_lines(directory / f"fold-{fold}" / "metrics.jsonl")]
            self.assertEqual(kinds.count("eval"), 2)
            self.assertGreater(kinds.count("train"), 1)
        page = (directory / "report.html").read_text(encoding="utf-8")
        self.assertIn("<svg", page)
        self.assertNotIn("http://", page.replace("http://www.w3.org/", ""))
        self.assertNotIn("https://", page)
        for rank in range(4):
            self.assertTrue((directory / "logs" / f"rank-{rank:04d}.log").stat().st_size > 0)

    def test_runs_more_folds_than_ranks(self):
        directory, _ = self.cross_validate("five-folds", 2, cv__folds=5, training__epochs=1)
        self.check_out_of_fold(directory, 5)

    def test_runs_fewer_folds_than_ranks(self):
        directory, _ = self.cross_validate("two-folds", 3, cv__folds=2, training__epochs=1)
        self.check_out_of_fold(directory, 2)

    def test_does_not_run_finished_folds_again(self):
        directory, _ = self.cross_validate("again", 2, training__epochs=1)
        first = (directory / "oof.csv").read_bytes()
        lines = {f: len(json_lines(directory / f"fold-{f}" / "metrics.jsonl")) for f in range(3)}

        self.cross_validate("again", 2, training__epochs=1)

        self.assertEqual(first, (directory / "oof.csv").read_bytes())
        self.assertEqual(lines, {f: len(json_lines(directory / f"fold-{f}" / "metrics.jsonl")) for f in range(3)})

    def test_refuses_a_changed_training_key_on_the_same_run(self):
        directory, _ = self.cross_validate("changed", 2, training__epochs=1)
        result = run(2, "cv", *self.settings(directory, training__epochs=1, optimizer__learning_rate=0.5))
        self.assert_one_line(result, 2, "optimizer.learning_rate")

    def test_gives_the_same_predictions_on_any_number_of_ranks_when_deterministic(self):
        def predictions(name, ranks, groups):
            directory, _ = self.cross_validate(name, ranks, training__deterministic="true", training__parts=4, training__epochs=1,
                                               cv__folds=2, cv__groups=groups)
            return (directory / "oof.csv").read_bytes()

        alone = predictions("deterministic-1", 1, 1)
        self.assertEqual(alone, predictions("deterministic-2", 2, 1), "two data ranks")
        self.assertEqual(alone, predictions("deterministic-4", 4, 1), "four data ranks")
        self.assertEqual(alone, predictions("deterministic-4-groups", 4, 2), "two groups of two")


if __name__ == "__main__":
    unittest.main()
