"""Every command's example, as its --help prints it, on small tables at the places that the examples name; --debug; accepted changes."""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

import harness
from harness import BINARY, DATA, REPOSITORY, TARGETS, json_lines, read_csv, run


class Examples(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        data = cls.scratch / "data"
        data.mkdir()
        shutil.copytree(cls.tables, data / "vader")
        shutil.copytree(cls.model, data / "minilm")
        harness.write_csv(data / "ua_gec.csv", read_csv(DATA / "ua_gec.csv")[:400])
        os.symlink(REPOSITORY / "examples", cls.scratch / "examples")

    def in_project(self, words):
        """Runs a line of the documentation from a project root that has the data in place."""
        self.assertIn(words[0], ("meshfold", "mpirun"))
        at = words.index("meshfold")
        command = [*words[:at], str(BINARY), *words[at + 1:]]
        if at > 0:
            command[1:1] = harness.MPIRUN[1:]
        return subprocess.run(command, cwd=self.scratch, env=harness.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240)

    def example_of(self, command):
        text = subprocess.run([BINARY, command, "--help"], env=harness.environment(), capture_output=True, text=True, check=True).stdout
        lines = text.splitlines()
        self.assertIn("Example:", lines, text)
        return lines[lines.index("Example:") + 1].split()

    def test_every_command_has_an_example_that_works(self):
        overview = subprocess.run([BINARY, "--help"], env=harness.environment(), capture_output=True, text=True, check=True).stdout
        listed = [line.split()[0] for line in overview.split("Commands:\n")[1].split("\n\n")[0].splitlines()]
        order = ["tokenize", "cv", "train", "predict", "export"]  # cv makes what the others read
        self.assertLess(set(order), set(listed))
        for command in order + [name for name in listed if name not in order]:
            with self.subTest(command=command):
                self.assert_done(self.in_project(self.example_of(command)))
        self.assertEqual(len(list((self.scratch / "data/tokenized").glob("*.h5"))), 2)
        self.assertEqual(len(read_csv(self.scratch / "runs/vader/predictions.csv")), len(read_csv(self.tables / "test.csv")))
        self.assertTrue((self.scratch / "runs/vader/model-of-fold-1/model.safetensors").exists())

    def test_every_example_file_is_started_as_it_says(self):
        for file in sorted((REPOSITORY / "examples").glob("*.ini")):
            with self.subTest(file=file.name):
                lines = file.read_text(encoding="utf-8").splitlines()
                commands = [line.removeprefix("#").split() for line in lines if re.match("#   (mpirun|build/release/meshfold|scripts/)", line)]
                self.assertTrue(commands)
                for words in commands:
                    if words[0] == "scripts/small_deberta.py":
                        subprocess.run([sys.executable, REPOSITORY / words[0], *words[1:]], cwd=self.scratch, check=True, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
                        continue
                    self.assertIn(f"examples/{file.name}", words)
                    words[words.index("build/release/meshfold")] = "meshfold"
                    if file.name in ("predict.ini", "export.ini", "train_tokenizer.ini"):  # theirs are the commands of the test above
                        command = words[words.index("meshfold") + 1]
                        self.assertEqual(words[words.index("meshfold"):], self.example_of(command)[-len(words[words.index("meshfold"):]):])
                    else:
                        self.assert_done(self.in_project(words))


class Debug(harness.EndToEnd):
    def debug(self, name, **changes):
        directory = self.scratch / name
        settings = self.settings(directory, data__test=self.tables / "test.csv", cv__folds=None, training__epochs=None, training__batch_size=None, **changes)
        self.assert_done(run(2, "cv", *settings, "--debug"))
        return directory

    def check(self, directory, rows=100):
        oof = read_csv(directory / "oof.csv")
        self.assertEqual(len(oof), rows)
        self.assertEqual({row["fold"] for row in oof}, {"0", "1"})
        self.assertEqual(len(read_csv(directory / "submission.csv")), len(read_csv(self.tables / "test.csv")))
        for fold in range(2):
            evaluations = [line for line in json_lines(directory / f"fold-{fold}/metrics.jsonl") if line["kind"] == "eval"]
            self.assertEqual(len(evaluations), 2)
            for line in evaluations:
                for name, value in line.items():
                    self.assertFalse(isinstance(value, float) and value != value, f"{name} is no number")
        self.assertTrue((directory / "model/model.safetensors").exists())
        self.assertTrue((directory / "report.html").exists())
        config = (directory / "config.ini").read_text()
        self.assertIn("sample_rows = 100", config)
        self.assertIn("folds = 2", config)
        return oof

    def test_runs_everything_with_group_folds(self):
        oof = self.check(self.debug("groups"))
        groups = {row["id"]: row["doc"] for row in read_csv(self.tables / "train.csv")}
        folds = {}
        for row in oof:
            folds.setdefault(groups[row["id"]], set()).add(row["fold"])
        self.assertTrue(all(len(f) == 1 for f in folds.values()))

    def test_runs_everything_with_stratified_folds_and_keeps_every_class(self):
        directory = self.debug("classes", cv__strategy="stratified", model__task="classification", data__targets="source", data__group=None)
        oof = self.check(directory)
        self.assertEqual({row["source"] for row in oof}, {row["source"] for row in read_csv(self.tables / "train.csv")})

    def test_takes_other_rows_with_another_seed(self):
        first = {row["id"] for row in read_csv(self.debug("seed-42") / "oof.csv")}
        again = {row["id"] for row in read_csv(self.debug("seed-42-again") / "oof.csv")}
        other = {row["id"] for row in read_csv(self.debug("seed-1", run__seed=1) / "oof.csv")}
        self.assertEqual(first, again)
        self.assertNotEqual(first, other)

    def test_leaves_what_set_says(self):
        directory = self.scratch / "set"
        self.assert_done(run(2, "cv", *self.settings(directory, data__sample_rows=60, cv__folds=3, training__epochs=1), "--debug"))
        oof = read_csv(directory / "oof.csv")
        self.assertEqual(len(oof), 60)
        self.assertEqual({row["fold"] for row in oof}, {"0", "1", "2"})


class AcceptedChanges(harness.EndToEnd):
    def test_are_refused_first_then_continue_the_run_and_are_recorded(self):
        directory = self.scratch / "run"
        short = self.settings(directory, cv__folds=None, cv__strategy=None, data__group=None, training__epochs=2, training__max_steps=7, log__every_steps=1)
        longer = self.settings(directory, cv__folds=None, cv__strategy=None, data__group=None, training__epochs=2, training__max_steps=0, log__every_steps=1)
        self.assert_done(run(2, "train", *short))
        (directory / "train" / "done.json").unlink()  # a run that was cut off before its end

        refused = run(2, "train", *longer)
        self.assert_one_line(refused, 2, "training.max_steps", '"7", now it is "0"', "--accept-changes training.max_steps")
        self.assert_done(run(2, "train", *longer, "--accept-changes", "training.max_steps"))
        lines = [line for line in json_lines(directory / "train/metrics.jsonl") if line["kind"] == "train"]
        self.assertGreater(lines[-1]["num_steps"], 7)
        self.assertEqual([line["step"] for line in lines], list(range(1, lines[-1]["num_steps"] + 1)), "a step is missing or was made again")
        notes = json.loads((directory / "run.json").read_text())["accepted_changes"]
        self.assertEqual([(n["key"], n["before"], n["now"]) for n in notes], [("training.max_steps", '"7"', '"0"')])
        self.assertIn("max_steps = 0", (directory / "config.ini").read_text())

        self.assert_done(run(2, "train", *longer))  # the accepted value is now the run's own
        wrong = run(2, "train", *longer, "--accept-changes", "training.max_step")
        self.assert_one_line(wrong, 2, "did you mean 'training.max_steps'")


if __name__ == "__main__":
    unittest.main()
