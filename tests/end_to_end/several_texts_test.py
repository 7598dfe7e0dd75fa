"""DeBERTa over two texts a row: as two views that share one encoder, with numeric features behind them, and as a pair of segments in one input. Real
sentences, a tokenizer of them, random weights; trained on several meshes, exported, and computed again by transformers."""

import csv
import json
import random
import shutil
import sys
import unittest

import numpy
import sentencepiece
import torch
import transformers

import harness
from harness import DATA, REPOSITORY, json_lines, read_csv, run, write_csv

sys.path.insert(0, str(REPOSITORY / "examples"))
from load_model import HeadModel  # noqa: E402

CLASSES = ["absent", "there"]
FEATURES = ["length_a", "length_b"]
MESHES = {"data": dict(mesh__data=2), "stages": dict(mesh__pipeline=2), "tensor": dict(mesh__tensor=2)}


def sentence_pairs(count):
    """A sentence and its correction, in either order; whether the second has a comma can be learnt."""
    with open(DATA / "ua_gec.csv", encoding="utf-8", newline="") as file:
        pairs = random.Random(3).sample(list(csv.DictReader(file)), count)
    for row in pairs:
        texts = {name: row[name] for name in ("response_a", "response_b")}
        yield {"id": row["id"], **texts, **{name: len(text) for name, text in zip(FEATURES, texts.values())}, "comma": CLASSES["," in row["response_b"]]}


class SeveralTexts(unittest.TestCase):
    assert_done, settings_of = harness.EndToEnd.assert_done, harness.EndToEnd.settings

    @classmethod
    def setUpClass(cls):
        cls.addClassCleanup((scratch := harness.scratch_directory()).cleanup)
        cls.scratch = harness.Path(scratch.name)
        rows = list(sentence_pairs(150))
        cls.tables, cls.test_rows, cls.test_table = cls.scratch / "tables", rows[120:], cls.scratch / "tables/test.csv"
        cls.tables.mkdir()
        write_csv(cls.tables / "train.csv", rows[:120])
        write_csv(cls.test_table, [{key: row[key] for key in ("id", "response_a", "response_b", *FEATURES)} for row in cls.test_rows])
        cls.model, cls.with_segments = cls.scratch / "model", cls.scratch / "with-segments"
        harness.small_deberta(cls.model, cls.tables / "train.csv", "tokenizer.columns=response_a,response_b", "tokenizer.vocabulary_size=400")
        config = transformers.AutoConfig.from_pretrained(cls.model)
        config.type_vocab_size = 2
        transformers.DebertaV2Model(config).save_pretrained(cls.with_segments)
        for name in ("spm.model", "tokenizer_config.json"):
            shutil.copy(cls.model / name, cls.with_segments)
        cls.pieces = sentencepiece.SentencePieceProcessor(model_file=str(cls.model / "spm.model"))

    def settings(self, directory, **changes):
        return self.settings_of(directory, **{
            "data__targets": "comma", "data__group": None, "cv__folds": None, "cv__strategy": None, "model__task": "classification", "training__parts": 4,
            "training__epochs": 4, "schedule__kind": "constant", "schedule__warmup_ratio": 0, "training__batch_size": 8, "optimizer__learning_rate": 2e-3, "tokenizer__max_length": 512, "log__every_steps": 1} | changes)

    def losses(self, directory, ranks, **changes):
        self.assert_done(run(ranks, "train", *self.settings(directory, **changes)))
        return numpy.array([line["loss"] for line in json_lines(directory / "train/metrics.jsonl") if line["kind"] == "train"])

    def check_meshes(self, name, **changes):
        """Trains on one rank, then on every mesh of two; the exported model of the first."""
        alone = self.losses(self.scratch / name, 1, **changes)
        self.assertLess(alone[-8:].mean(), 0.7 * alone[:8].mean(), "it did not learn")
        for mesh, axis in MESHES.items():
            with self.subTest(mesh):
                curve = self.losses(self.scratch / f"{name}-{mesh}", 2, **changes, **axis, training__max_steps=20)
                numpy.testing.assert_allclose(curve, alone[:20], atol=1e-5)
        exported = self.scratch / f"{name}-exported"
        self.assert_done(run(1, "export", *self.settings(self.scratch / name, **changes, export__path=exported)))
        return exported

    def predicted(self, exported, *settings):
        """Probabilities of the classes, by our program on the exported directory alone."""
        directory = self.scratch / f"{exported.name}-predicted"
        words = [word for setting in (f"model.path={exported}", f"data.test={self.test_table}", "tokenizer.max_length=512", *settings)
                 for word in ("--set", setting)]
        self.assert_done(run(2, "predict", "--run", directory, *words))
        rows = read_csv(directory / "predictions.csv")
        self.assertEqual([row["id"] for row in rows], [row["id"] for row in self.test_rows])
        return numpy.array([[float(row[f"pred_{name}"]) for name in CLASSES] for row in rows])

    def check_probabilities(self, predicted, logits):
        numpy.testing.assert_allclose(predicted, torch.stack(logits).double().softmax(1).numpy(), atol=1e-4)
        self.assertGreater(predicted[:, 0].std(), 0.01, "all predictions are alike, so nothing was compared")

    @torch.no_grad()
    def test_two_views_share_the_encoder_on_any_mesh_and_in_the_reference_loader(self):
        views = dict(data__texts="response_a,response_b", data__features=",".join(FEATURES))
        exported = self.check_meshes("views", model__path=self.model, **views)

        head = HeadModel(exported).eval()
        inputs = lambda text: {"input_ids": (ids := torch.tensor([[1, *self.pieces.encode(text), 2]])), "attention_mask": torch.ones_like(ids)}
        logits = [head([inputs(row["response_a"]), inputs(row["response_b"])], features=torch.tensor([[float(row[name]) for name in FEATURES]]))[0]
                  for row in self.test_rows]
        self.check_probabilities(self.predicted(exported, "data.texts=response_a,response_b", "data.features=" + ",".join(FEATURES)), logits)
        self.assertEqual(json.loads((exported / "config.json").read_text())["meshfold_head"]["views"], 2)

    @torch.no_grad()
    def test_a_pair_is_one_input_with_two_segments_on_any_mesh_and_in_transformers(self):
        pair = dict(data__text="response_a", data__text_pair="response_b")
        exported = self.check_meshes("pair", model__path=self.with_segments, **pair)

        model = transformers.AutoModelForSequenceClassification.from_pretrained(exported).eval()
        logits = []
        for row in self.test_rows:
            first, second = [1, *self.pieces.encode(row["response_a"]), 2], [*self.pieces.encode(row["response_b"]), 2]
            segments = torch.tensor([[0] * len(first) + [1] * len(second)])
            logits.append(model(input_ids=torch.tensor([first + second]), token_type_ids=segments).logits[0])
        self.check_probabilities(self.predicted(exported, "data.text=response_a", "data.text_pair=response_b"), logits)


if __name__ == "__main__":
    unittest.main()
