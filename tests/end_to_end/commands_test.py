"""The other commands and tasks: classification, bf16, train, export, predict, tokenize, checkpoint."""

import unittest

import h5py
import numpy
import torch
import transformers
from safetensors.torch import load_file
from sklearn.metrics import accuracy_score, log_loss

import harness
from harness import TARGETS, json_lines, read_csv, run, write_csv


class Commands(harness.EndToEnd):
    def test_classifies_and_scores_as_scikit_learn_does(self):
        directory = self.scratch / "classes"
        result = run(3, "cv", *self.settings(directory, model__task="classification", data__targets="source", loss__kind="cross_entropy",
                                             loss__label_smoothing=0.1, cv__folds=2, model__path=harness.DATA / "minilm",
                                             optimizer__learning_rate=2e-4, data__test=self.tables / "test.csv"))
        self.assert_done(result)
        oof = read_csv(directory / "oof.csv")
        names = sorted({row["source"] for row in oof})
        probabilities = numpy.array([[float(row[f"pred_{name}"]) for name in names] for row in oof])
        truth = [row["source"] for row in oof]
        numpy.testing.assert_allclose(probabilities.sum(1), 1, atol=1e-5)
        accuracy = accuracy_score(truth, [names[i] for i in probabilities.argmax(1)])
        self.assertIn(f"{log_loss(truth, probabilities, labels=names):.4f}", result.stdout)
        majority = max(truth.count(name) for name in names) / len(truth)
        self.assertGreater(accuracy, majority, "not better than always saying the largest class")
        self.assertEqual(list(read_csv(directory / "submission.csv")[0]), ["id", *names])

        model = transformers.AutoModelForSequenceClassification.from_pretrained(directory / "model")
        self.assertEqual([model.config.id2label[i] for i in range(len(names))], names)

    def test_trains_in_bf16_close_to_fp32(self):
        def losses(precision):
            directory = self.scratch / f"precision-{precision}"
            self.assert_done(run(2, "train", *self.settings(directory, precision__compute=precision, log__every_steps=1, cv__folds=None,
                                                            cv__strategy=None, data__group=None)))
            return numpy.array([line["loss"] for line in json_lines(directory / "train" / "metrics.jsonl") if line["kind"] == "train"])

        single, half = losses("fp32"), losses("bf16")
        self.assertEqual(len(single), len(half))
        self.assertFalse((single == half).all(), "bf16 changed nothing")
        numpy.testing.assert_allclose(half, single, rtol=0.05)
        self.assertLess(half[-5:].mean(), half[:5].mean())

    def test_trains_exports_verifies_and_predicts_on_one_job(self):
        directory = self.scratch / "one"
        settings = self.settings(directory, cv__folds=None, cv__strategy=None, data__group=None, data__test=self.tables / "test.csv")
        self.assert_done(run(2, "train", *settings))
        self.assert_done(run(1, "export", *settings, "--set", f"export.path={self.scratch / 'exported'}"))
        self.assert_done(run(1, "checkpoint", "verify", directory))
        self.assert_done(run(2, "predict", *settings))
        on_run = read_csv(directory / "predictions.csv")
        plain = self.scratch / "plain"
        self.assert_done(run(1, "predict", "--run", plain, "--set", f"model.path={self.scratch / 'exported'}", "--set",
                             f"data.test={self.tables / 'test.csv'}", "--set", "tokenizer.max_length=64"))
        for a, b in zip(on_run, read_csv(plain / "predictions.csv"), strict=True):
            self.assertEqual(a["id"], b["id"])
            for target in TARGETS:
                self.assertAlmostEqual(float(a[f"pred_{target}"]), float(b[f"pred_{target}"]), places=5)

        damaged = next(directory.glob("train/checkpoint-*/shard-0.safetensors"))
        data = bytearray(damaged.read_bytes())
        data[-9] ^= 1
        damaged.write_bytes(data)
        result = run(1, "checkpoint", "verify", directory)
        self.assertEqual(result.returncode, 4, result.stdout + result.stderr)
        self.assertIn("shard-0.safetensors", result.stdout + result.stderr)

    def test_frozen_layers_keep_their_bits_and_a_head_of_its_own_is_exported(self):
        directory, exported = self.scratch / "frozen", self.scratch / "frozen-model"
        settings = self.settings(directory, cv__folds=None, cv__strategy=None, data__group=None, training__epochs=1, model__pooling="attention",
                                 model__dropout_samples=3, freeze__embeddings="true", freeze__lower_layers=1, optimizer__layer_decay=0.9)
        self.assert_done(run(2, "train", *settings))
        self.assert_done(run(1, "export", *settings, "--set", f"export.path={exported}"))
        before, after = load_file(self.model / "model.safetensors"), load_file(exported / "model.safetensors")
        for name, tensor in after.items():
            frozen = name.startswith(("embeddings.", "encoder.layer.0."))
            self.assertEqual(torch.equal(tensor, before[name]), frozen, name)
        head = load_file(exported / "head.safetensors")
        self.assertEqual({name.split(".")[0] for name in head}, {"pooling", "classifier"})

    def test_tokenizes_alone_and_the_run_finds_it(self):
        cache = self.scratch / "tokenized"
        self.assert_done(run(3, "tokenize", *self.settings(self.scratch / "tokenize", data__cache=cache)))
        files = {path: path.stat().st_mtime_ns for path in cache.glob("*.h5")}
        self.assertEqual(len(files), 1)
        self.assert_done(run(2, "cv", *self.settings(self.scratch / "after", data__cache=cache, training__epochs=1)))
        self.assertEqual(files, {path: path.stat().st_mtime_ns for path in cache.glob("*.h5")})

    def test_cuts_pairs_as_the_option_says(self):
        """Against transformers' own ids: its two ways to cut a pair, and both ends of what it keeps of each segment."""
        rows = read_csv(self.tables / "train.csv")
        pairs = [(rows[2 * i]["text"], rows[2 * i + 1]["text"]) for i in range(60)]
        length, head = 24, 5
        tokenizer = transformers.BertTokenizerFast.from_pretrained(self.model)
        whole = [[tokenizer(text, add_special_tokens=False)["input_ids"] for text in pair] for pair in pairs]
        possible = [i for i, (first, _) in enumerate(whole) if len(first) < length - 3]  # tokenizers refuses to leave nothing of the second
        self.assertGreater(sum(len(first) + len(second) > length - 3 for first, second in (whole[i] for i in possible)), 20)
        table = self.scratch / "pairs.csv"
        write_csv(table, [{"id": i, "text": pairs[i][0], "other": pairs[i][1]} for i in possible])

        def ids(name, **options):
            cache = self.scratch / f"pairs-{name}"
            self.assert_done(run(2, "tokenize", "--run", self.scratch / "pairs-run", "--set", f"model.path={self.model}", "--set", f"data.test={table}", "--set",
                                 "data.text_pair=other", "--set", f"tokenizer.max_length={length}", "--set", f"data.cache={cache}",
                                 *(word for key, value in options.items() for word in ("--set", f"tokenizer.{key}={value}"))))
            with h5py.File(next(cache.glob("*.h5"))) as file:
                bounds = file["offsets"][:]
                return [file["tokens"][begin:end].tolist() for begin, end in zip(bounds, bounds[1:])]

        def by_transformers(truncation):
            return [tokenizer(*pairs[i], truncation=truncation, max_length=length)["input_ids"] for i in possible]

        def both_ends(i):
            kept = tokenizer(*pairs[i], truncation="longest_first", max_length=length)
            result = [tokenizer.cls_token_id]
            for segment, tokens in enumerate(whole[i]):
                count = kept.sequence_ids().count(segment)
                front = min(head, count) if count < len(tokens) else count
                result += tokens[:front] + tokens[len(tokens) - (count - front):] + [tokenizer.sep_token_id]
            return result

        default = ids("default")
        self.assertEqual(default, by_transformers("longest_first"))
        self.assertEqual(ids("only_second", truncation="only_second"), by_transformers("only_second"))
        self.assertEqual(ids("head_tail", truncation="head_tail", head_tokens=head), [both_ends(i) for i in possible])
        self.assertNotEqual(by_transformers("only_second"), default)
        self.assertNotEqual([both_ends(i) for i in possible], default)

    def test_trains_a_tokenizer_that_a_second_run_gives_again_and_never_replaces(self):
        def train(directory, ranks=1, **changes):
            return run(ranks, "train-tokenizer", *self.settings(directory, **{"tokenizer__vocabulary_size": 300, **changes}))

        first, second = self.scratch / "tokenizer-1", self.scratch / "tokenizer-2"
        result = train(first)
        self.assert_done(result)
        self.assertIn("301 tokens", result.stdout)
        self.assert_done(train(second))
        self.assertEqual((first / "tokenizer/spm.model").read_bytes(), (second / "tokenizer/spm.model").read_bytes())
        self.assert_one_line(train(first), 3, "tokenizer/spm.model", "exists already")
        self.assert_one_line(train(self.scratch / "tokenizer-3", tokenizer__vocabulary_size=100000), 2, "tokenizer.vocabulary_size = 100000")
        self.assert_one_line(train(self.scratch / "tokenizer-4", ranks=2), 2, "without mpirun")

    def test_gives_the_same_loss_curve_on_any_number_of_ranks(self):
        def losses(ranks, **changes):
            directory = self.scratch / f"curve-{ranks}-{len(changes)}"
            self.assert_done(run(ranks, "train", *self.settings(directory, log__every_steps=1, training__parts=12 if not changes else 4, cv__folds=None,
                                                                cv__strategy=None, data__group=None, **changes)))
            return [line["loss"] for line in json_lines(directory / "train" / "metrics.jsonl") if line["kind"] == "train"]

        alone = losses(1)
        for ranks in (2, 3, 4):
            numpy.testing.assert_allclose(losses(ranks), alone, rtol=2e-5, err_msg=f"{ranks} ranks")
        exact = losses(1, training__deterministic="true")
        for ranks in (2, 4):
            self.assertEqual(losses(ranks, training__deterministic="true"), exact, f"{ranks} ranks, deterministic")


if __name__ == "__main__":
    unittest.main()
