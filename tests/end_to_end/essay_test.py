"""examples/essay.ini end to end: a small model of DeBERTa-v3's kind around the tokenizer that train-tokenizer makes of real texts,
trained, exported, used."""

import unittest

import numpy
import sentencepiece
import torch
import transformers

import harness
from harness import REPOSITORY, json_lines, read_csv, run


def essays(table):
    """Long texts out of short ones: eight neighbouring rows make one, with the mean of their targets."""
    rows = read_csv(table)
    for start in range(0, len(rows) - 7, 8):
        part = rows[start:start + 8]
        yield {"id": f"e{start}", "doc": part[0]["doc"], "text": " ".join(row["text"] for row in part),
               "mean": sum(float(row["mean"]) for row in part) / 8}


class Essay(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup((scratch := harness.scratch_directory()).cleanup)
        cls.scratch = harness.Path(scratch.name)
        harness.cut_tables(cls.scratch / "tables", 640, 40)
        cls.table, cls.test_table = cls.scratch / "essays.csv", cls.scratch / "tables" / "test.csv"
        harness.write_csv(cls.table, list(essays(cls.scratch / "tables" / "train.csv")))
        cls.model = cls.scratch / "model"
        harness.small_deberta(cls.model, cls.table, "tokenizer.vocabulary_size=600")

    def settings(self, directory, **changes):
        keys = {"data.train": self.table, "model.path": self.model, "data.cache": self.scratch / "cache", "optimizer.learning_rate": 2e-3,
                "model.hidden_dropout": 0.02, "model.attention_dropout": 0.02, "training.epochs": 7, "run.threads": 1, "precision.compute": "fp32",
                "log.every_steps": 1} | {name.replace("__", "."): value for name, value in changes.items()}
        arguments = ["--config", REPOSITORY / "examples/essay.ini", "--run", directory]
        for key, value in keys.items():
            arguments += ["--set", f"{key}={value}"]
        return arguments

    def losses(self, name, ranks, **changes):
        directory = self.scratch / name
        result = run(ranks, "train", *self.settings(directory, **changes))
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        return [line["loss"] for line in json_lines(directory / "train" / "metrics.jsonl") if line["kind"] == "train"]

    def test_trains_alike_on_one_rank_and_on_two_that_recompute_layers(self):
        exact = dict(training__parts=4, training__deterministic="true")
        alone = self.losses("alone", 1, training__recompute="none", **exact)
        self.assertEqual(self.losses("pair", 2, training__recompute="layers", **exact), alone)
        self.assertLess(numpy.mean(alone[-10:]), 0.7 * numpy.mean(alone[:10]), "it did not learn")

    def test_trains_alike_on_two_pipeline_stages_and_on_two_tensor_ranks(self):
        exact = dict(training__parts=4, training__epochs=2)
        alone = self.losses("one-rank", 1, **exact)
        for name, axis in {"stages": dict(mesh__pipeline=2), "gpipe": dict(mesh__pipeline=2, pipeline__schedule="gpipe", pipeline__stages="1,2"),
                           "tensor": dict(mesh__tensor=2)}.items():
            with self.subTest(name):
                numpy.testing.assert_allclose(self.losses(name, 2, **exact, **axis), alone, atol=1e-5)
                # A checkpoint of two stages or tensor ranks is the model's: one rank exports it whole.
                exported = self.scratch / f"exported-{name}"
                result = run(1, "export", *self.settings(self.scratch / name, **exact, export__path=exported))
                self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
                transformers.AutoModelForSequenceClassification.from_pretrained(exported)

    def test_predicts_what_transformers_predicts_from_the_export(self):
        directory, exported = self.scratch / "exporting", self.scratch / "exported"
        settings = self.settings(directory, training__epochs=1, export__path=exported)
        for command in ("train", "export"):
            result = run(2, command, *settings)
            self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        result = run(2, "predict", "--run", self.scratch / "predicting", "--set", f"model.path={exported}", "--set",
                     f"data.test={self.test_table}", "--set", "tokenizer.max_length=1024")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)

        model, info = transformers.AutoModelForSequenceClassification.from_pretrained(exported, output_loading_info=True)
        self.assertFalse(any(info[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys")), info)
        pieces = sentencepiece.SentencePieceProcessor(model_file=str(exported / "spm.model"))
        predicted = {row["id"]: float(row["pred_mean"]) for row in read_csv(self.scratch / "predicting" / "predictions.csv")}
        texts = read_csv(self.test_table)
        self.assertEqual(list(predicted), [row["id"] for row in texts])
        values = []
        for row in texts:
            ids = torch.tensor([[1, *pieces.encode(row["text"]), 2]])
            with torch.no_grad():
                values.append(model.eval()(ids).logits.item())
            self.assertAlmostEqual(predicted[row["id"]], values[-1], places=6)
        self.assertGreater(numpy.std(values), 1e-4, "all predictions are alike, so nothing was compared")


if __name__ == "__main__":
    unittest.main()
