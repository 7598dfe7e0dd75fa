"""Which of two answers is preferred: conversations in JSON Lines, three texts a row, numeric features, three one-hot classes."""

import csv
import json
import random
import unittest

import numpy
import torch
import transformers
from safetensors.torch import load_file
from sklearn.metrics import log_loss

import harness
from harness import DATA, json_lines, read_csv, run, write_csv

CLASSES = ["winner_a", "winner_b", "winner_tie"]
VIEWS = ["prompt", "response_a", "response_b"]
FEATURES = ["length_a", "length_b"]


def preference_rows(count):
    """Real pairs of sentences as conversations of several turns, some of them null, with lone surrogates and an emoji between."""
    rng = random.Random(7)
    with open(DATA / "ua_gec.csv", encoding="utf-8", newline="") as file:
        pairs = rng.sample(list(csv.DictReader(file)), count)
    rows = []
    for i, pair in enumerate(pairs):
        turns = {"prompt": [f"Which is better, {i}?", "And now?\ud83d"], "response_a": [pair["response_a"], None if i % 3 == 0 else "Так 🙂"],
                 "response_b": [pair["response_b"], "Ні\udc00" if i % 4 == 0 else None]}
        rows.append({"id": pair["id"], "author": pair["author"], **turns, "length_a": len(pair["response_a"]), "length_b": float(len(pair["response_b"])),
                     **{f"winner_{name}": int(pair["winner"] == name) for name in ("a", "b", "tie")}})
    return rows


def joined(turns):
    return "\n".join(turn or "" for turn in turns).encode("utf-8", "ignore").decode("utf-8")


class Preference(harness.EndToEnd):
    rows, test_rows = 12, 6  # of the tables that this test does not use

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        rows = preference_rows(180)
        cls.train, cls.test = rows[:140], rows[140:]
        with open(cls.tables / "train.jsonl", "w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in cls.train)
        # The test table is CSV: the same lists as text in a cell, and no answers.
        kept = ["id", *VIEWS, *FEATURES]
        write_csv(cls.tables / "preference_test.csv",
                  [{key: json.dumps(row[key]) if key in VIEWS else row[key] for key in kept} for row in cls.test])

    def preference(self, directory, **changes):
        return self.settings(directory, **({"data__train": self.tables / "train.jsonl", "data__texts": ",".join(VIEWS), "data__turns": "all", "data__turn_joiner": "\\n",
                                            "data__features": ",".join(FEATURES), "data__targets": ",".join(CLASSES), "data__group": "author", "cv__folds": 2,
                                            "model__task": "classification", "model__pooling": "mean", "tokenizer__max_length": 48} | changes))

    def expected(self, exported, rows):
        """Probabilities by transformers' backbone and the exported head, one text at a time."""
        backbone = transformers.AutoModel.from_pretrained(exported).eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        head = load_file(exported / "head.safetensors")
        about = json.loads((exported / "config.json").read_text())["meshfold_head"]
        self.assertEqual((about["views"], [feature["name"] for feature in about["features"]], about["labels"]), (3, FEATURES, CLASSES))
        self.assertEqual([backbone.config.id2label[i] for i in range(3)], CLASSES)
        probabilities = []
        with torch.no_grad():
            for row in rows:
                parts = []
                for view in VIEWS:
                    inputs = tokenizer(joined(row[view]), truncation=True, max_length=48, return_tensors="pt")
                    parts.append(backbone(**inputs).last_hidden_state[0].mean(0))
                parts.append(torch.tensor([(row[f["name"]] - f["mean"]) / f["scale"] for f in about["features"]], dtype=torch.float32))
                logits = head["classifier.weight"] @ torch.cat(parts) + head["classifier.bias"]
                probabilities.append(logits.double().softmax(0).numpy())
        return numpy.array(probabilities)

    def test_predicts_what_transformers_computes_from_the_exported_model(self):
        directory = self.scratch / "run"
        self.assert_done(run(3, "cv", *self.preference(directory, data__test=self.tables / "preference_test.csv")))

        oof = read_csv(directory / "oof.csv")
        self.assertEqual(list(oof[0]), ["id", "fold", *CLASSES, *(f"pred_{name}" for name in CLASSES)])
        self.assertEqual([row["id"] for row in oof], [row["id"] for row in self.train])
        truth = numpy.array([[float(row[name]) for name in CLASSES] for row in oof])
        predicted = numpy.array([[float(row[f"pred_{name}"]) for name in CLASSES] for row in oof])
        numpy.testing.assert_array_equal(truth, [[row[name] for name in CLASSES] for row in self.train])
        numpy.testing.assert_allclose(predicted.sum(1), 1, atol=1e-5)
        self.assertTrue(numpy.isfinite(log_loss(truth.argmax(1), predicted, labels=[0, 1, 2])))
        self.assertEqual(list(read_csv(directory / "submission.csv")[0]), ["id", *CLASSES])

        # The run directory knows its columns: only the new table is named.
        self.assert_done(run(2, "predict", "--run", directory, "--set", f"data.test={self.tables / 'preference_test.csv'}"))
        for ours, submitted in zip(read_csv(directory / "predictions.csv"), read_csv(directory / "submission.csv"), strict=True):
            self.assertEqual(ours["id"], submitted["id"])
            for name in CLASSES:
                self.assertAlmostEqual(float(ours[f"pred_{name}"]), float(submitted[name]), places=4)

        # The best fold's model, by itself: its own training rows alone made the statistics of the features.
        exported = directory / "model"
        fold = int(json.loads((exported / "meshfold_export.json").read_text())["job"].removeprefix("fold-"))
        training = [row for row, line in zip(self.train, oof, strict=True) if int(line["fold"]) != fold]
        for feature in json.loads((exported / "config.json").read_text())["meshfold_head"]["features"]:
            values = numpy.array([row[feature["name"]] for row in training], dtype=numpy.float64)
            self.assertAlmostEqual(feature["mean"], values.mean(), places=9)
            self.assertAlmostEqual(feature["scale"], values.std(), places=9)
        held_out = [i for i, line in enumerate(oof) if int(line["fold"]) == fold]
        numpy.testing.assert_allclose(predicted[held_out], self.expected(exported, [self.train[i] for i in held_out]), atol=1e-4)

        plain = self.scratch / "plain"
        inputs = ["data.texts=" + ",".join(VIEWS), "data.turns=all", "data.features=" + ",".join(FEATURES), "tokenizer.max_length=48"]
        arguments = ["predict", "--run", plain, "--set", f"model.path={exported}", "--set", f"data.test={self.tables / 'preference_test.csv'}"]
        self.assert_done(run(2, *arguments, *(word for setting in inputs for word in ("--set", setting))))
        ours = numpy.array([[float(row[f"pred_{name}"]) for name in CLASSES] for row in read_csv(plain / "predictions.csv")])
        numpy.testing.assert_allclose(ours, self.expected(exported, self.test), atol=1e-4)

        self.assert_one_line(run(2, *arguments, "--set", "data.text=prompt", "--set", "data.turns=all"), 2, "3 texts", "data.texts")
        inputs[2] = "data.features=length_b,length_a"
        self.assert_one_line(run(2, *arguments, *(word for setting in inputs for word in ("--set", setting))), 2, "length_a, length_b", "data.features")

    def test_gives_the_same_loss_curve_on_any_number_of_ranks(self):
        def losses(ranks):
            directory = self.scratch / f"curve-{ranks}"
            self.assert_done(run(ranks, "train", *self.preference(directory, cv__folds=None, cv__strategy=None, data__group=None, training__parts=6, log__every_steps=1)))
            return numpy.array([line["loss"] for line in json_lines(directory / "train" / "metrics.jsonl") if line["kind"] == "train"])

        one, three = losses(1), losses(3)
        self.assertLess(one[-4:].mean(), one[:4].mean())
        numpy.testing.assert_allclose(three, one, atol=1e-5)

    def test_names_row_and_column_of_a_malformed_conversation(self):
        lines = (self.tables / "train.jsonl").read_text(encoding="utf-8").splitlines()
        row = json.loads(lines[4])
        row["response_b"] = ["good", {"role": "user"}]
        lines[4] = json.dumps(row)
        broken = self.scratch / "broken.jsonl"
        broken.write_text("\n".join(lines) + "\n", encoding="utf-8")
        result = run(2, "cv", *self.preference(self.scratch / "broken", data__train=broken))
        self.assert_one_line(result, 3, "broken.jsonl, row 5 (line 5), column 'response_b'", "turn 2")

        cut = self.scratch / "cut.jsonl"
        cut.write_text("\n".join(lines)[:-20], encoding="utf-8")
        self.assert_one_line(run(2, "cv", *self.preference(self.scratch / "cut", data__train=cut)), 3, "row 140 (line 140)", "cut off")


if __name__ == "__main__":
    unittest.main()
