"""The pretrained model on real text: it learns, its export loads in transformers, and predictions agree."""

import unittest

import numpy
import torch
import transformers

import harness
from harness import DATA, TARGETS, read_csv, run


class RealModel(harness.EndToEnd):
    rows, test_rows = 300, 40

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.model = DATA / "minilm"

    def test_learns_exports_and_predicts_alike(self):
        directory = self.scratch / "run"
        result = run(2, "cv", *self.settings(directory, cv__folds=2, training__epochs=3, training__batch_size=8, optimizer__learning_rate=3e-4, data__test=self.tables / "test.csv"))
        self.assert_done(result)
        self.assertIn("embeddings.position_ids", result.stdout)  # left out
        self.assertIn("classifier.weight", result.stdout)        # freshly initialised
        oof = read_csv(directory / "oof.csv")
        truth = numpy.array([[float(r[t]) for t in TARGETS] for r in oof])
        predicted = numpy.array([[float(r[f"pred_{t}"]) for t in TARGETS] for r in oof])
        mcrmse = numpy.sqrt(((truth - predicted) ** 2).mean(0)).mean()
        self.assertLess(mcrmse, 0.9 * truth.std(0).mean(), "not better than the training mean")

        exported = directory / "model"
        plain = self.scratch / "plain"
        self.assert_done(run(2, "predict", "--run", plain, "--set", f"model.path={exported}", "--set", f"data.test={self.tables / 'test.csv'}"))
        ours = read_csv(plain / "predictions.csv")
        model = transformers.AutoModelForSequenceClassification.from_pretrained(exported)
        model.eval()
        self.assertEqual([model.config.id2label[i] for i in range(6)], TARGETS)
        tokenizer = transformers.AutoTokenizer.from_pretrained(exported)
        texts = {r["id"]: r["text"] for r in read_csv(self.tables / "test.csv")}
        with torch.no_grad():
            for row in ours:
                inputs = tokenizer(texts[row["id"]], truncation=True, max_length=128, padding=False, return_tensors="pt")
                theirs = model(**inputs).logits[0].numpy()
                self.assertLess(abs(theirs - numpy.array([float(row[f"pred_{t}"]) for t in TARGETS])).max(), 1e-4)

        self.assert_done(run(1, "predict", *self.settings(directory, cv__folds=2, training__epochs=3, training__batch_size=8, optimizer__learning_rate=3e-4,
                                                          data__test=self.tables / "test.csv")))
        folds = read_csv(directory / "predictions.csv")
        submission = read_csv(directory / "submission.csv")
        for a, b in zip(folds, submission, strict=True):
            self.assertEqual(a["id"], b["id"])
            for target in TARGETS:
                self.assertAlmostEqual(float(a[f"pred_{target}"]), float(b[target]), places=4)


if __name__ == "__main__":
    unittest.main()
