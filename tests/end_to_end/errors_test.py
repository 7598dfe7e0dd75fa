"""Bad input ends with one line that names what is wrong, and with the documented exit code."""

import shutil
import unittest

import harness
from harness import read_csv, run, write_csv


class Errors(harness.EndToEnd):
    def attempt(self, name, ranks=2, **changes):
        return run(ranks, "cv", *self.settings(self.scratch / name, training__epochs=1, **changes), timeout=60)

    def changed_table(self, change):
        rows = read_csv(self.tables / "train.csv")
        change(rows)
        path = self.scratch / f"{self._testMethodName}.csv"
        write_csv(path, rows)
        return path

    def test_names_all_faults_of_the_configuration_at_once(self):
        result = self.attempt("faults", training__epoch=3, optimizer__learning_rat=1, training__batch_size="many")
        self.assertEqual(result.returncode, 2, result.stderr)
        for words in ("training.epoch", "training.epochs", "optimizer.learning_rate", "training.batch_size", "many"):
            self.assertIn(words, result.stderr)

    def test_names_a_missing_column_and_the_nearest(self):
        self.assert_one_line(self.attempt("column", data__targets="mean,share_negativ"), 3, "share_negativ", "share_negative")

    def test_names_the_row_of_an_empty_text(self):
        def change(rows):
            rows[6]["text"] = " "
        self.assert_one_line(self.attempt("empty", data__train=self.changed_table(change)), 3, "row 7", "text")

    def test_names_a_repeated_id(self):
        def change(rows):
            rows[200]["id"] = rows[3]["id"]
        table = self.changed_table(change)
        self.assert_one_line(self.attempt("repeated", data__train=table), 3, "row 201", read_csv(table)[3]["id"])

    def test_names_the_row_and_column_of_a_target_that_is_no_number(self):
        def change(rows):
            rows[150]["sd"] = "n/a"
        self.assert_one_line(self.attempt("number", data__train=self.changed_table(change)), 3, "row 151", "sd")

    def test_refuses_more_folds_than_groups(self):
        def change(rows):
            for index, row in enumerate(rows):
                row["doc"] = f"doc{index % 2}"
        self.assert_one_line(self.attempt("groups", data__train=self.changed_table(change)), 2, "group")

    def test_names_a_truncated_tensor_file(self):
        model = self.scratch / "truncated-model"
        shutil.copytree(self.model, model)
        data = (model / "model.safetensors").read_bytes()
        (model / "model.safetensors").write_bytes(data[:-100])
        self.assert_one_line(self.attempt("tensors", model__path=model), 3, "model.safetensors")

    def test_rebuilds_a_truncated_dataset(self):
        cache = self.scratch / "own-cache"
        self.assert_done(self.attempt("whole", data__cache=cache))
        for file in cache.glob("*.h5"):
            file.write_bytes(file.read_bytes()[:5000])
        result = self.attempt("rebuilt", data__cache=cache)
        self.assert_done(result)
        self.assertEqual((self.scratch / "whole/oof.csv").read_bytes(), (self.scratch / "rebuilt/oof.csv").read_bytes())

    def test_refuses_a_sample_submission_in_another_order(self):
        sample = read_csv(self.tables / "sample_submission.csv")
        sample[0], sample[1] = sample[1], sample[0]
        write_csv(self.scratch / "swapped.csv", sample)
        result = self.attempt("order", data__test=self.tables / "test.csv", data__sample_submission=self.scratch / "swapped.csv")
        self.assert_one_line(result, 3, "swapped.csv", "row 1")

    def test_reports_numbers_that_went_bad_once_all_folds_have_ended(self):
        result = self.attempt("bad", training__max_grad_norm=0, optimizer__learning_rate=1e30, cv__groups=2)
        self.assert_one_line(result, 7, "fold-", "step", "optimizer.learning_rate")


if __name__ == "__main__":
    unittest.main()
