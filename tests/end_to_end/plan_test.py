"""What `meshfold plan` says before a run is held against what the run then does: memory by kind and at the peak of a step, bytes that every rank
sends on every axis, steps, learning rates, the size of a checkpoint."""

import json
import shutil
import subprocess
import unittest

import harness
from harness import BINARY, DATA, json_lines, run


def plan(*arguments):
    """The program alone, without mpirun."""
    return subprocess.run([BINARY, "plan", *map(str, arguments)], env=harness.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=120)


def narrow_deberta(directory):
    import torch
    import transformers
    torch.manual_seed(5)
    config = transformers.DebertaV2Config(vocab_size=30522, hidden_size=96, num_hidden_layers=4, num_attention_heads=4, intermediate_size=384,
                                          max_position_embeddings=128, relative_attention=True, position_buckets=32, norm_rel_ebd="layer_norm",
                                          share_att_key=True, pos_att_type="p2c|c2p", position_biased_input=False, type_vocab_size=0,
                                          max_relative_positions=-1, embedding_size=40)
    transformers.DebertaV2Model(config).save_pretrained(directory)
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(DATA / "minilm" / name, directory)


class Plan(harness.EndToEnd):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        harness.tiny_model(cls.scratch / "bert", hidden_size=96, layers=4)
        narrow_deberta(cls.scratch / "deberta")

    def config(self, directory, **changes):
        small = {"cv__folds": None, "cv__strategy": None, "data__group": None, "model__path": self.scratch / "bert", "training__epochs": 1,
                 "training__batch_size": 32, "log__every_steps": 1}
        return self.settings(directory, **small | changes)

    def near(self, planned, measured, what, tolerance=0.1):
        self.assertLessEqual(abs(planned - measured), tolerance * measured, f"{what}: planned {planned:,}, measured {measured:,}")

    def check(self, name, mesh, **changes):
        directory = self.scratch / name
        ranks = mesh[0] * mesh[1] * mesh[2]
        settings = self.config(directory, mesh__data=mesh[0], mesh__pipeline=mesh[1], mesh__tensor=mesh[2], **changes)
        told = plan("train", *settings, "--format", "json")
        self.assert_done(told)
        planned = json.loads(told.stdout)
        self.assertEqual(planned["ranks"], ranks)
        self.assertFalse(directory.exists(), "a plan writes nothing")
        self.assert_done(run(ranks, "train", *settings))

        lines = json_lines(directory / "train/metrics.jsonl")
        steps = [line for line in lines if line["kind"] == "train"]
        job = planned["jobs"][0]
        self.assertEqual(job["steps"], steps[-1]["step"])
        rates = [line["learning_rate"] for line in steps]
        self.assertEqual([job["learning_rate"][key] for key in ("first", "peak", "last")], [rates[0], max(rates), rates[-1]])

        usage = next(line for line in lines if line["kind"] == "usage")
        group = planned["groups"][0]
        self.assertEqual(group["steps"], usage["steps"])
        self.assertEqual(len(group["ranks"]), ranks)
        for ours, theirs in zip(group["ranks"], usage["ranks"]):
            place = {axis: theirs[axis] for axis in ("data", "pipeline", "tensor")}
            self.assertEqual({axis: ours[axis] for axis in place}, place)
            for axis in ("sent_data", "sent_pipeline", "sent_tensor"):
                self.assertEqual(ours[axis], theirs[axis], f"{name}, {axis} of {place}")
            self.near(ours["memory"]["total"], theirs["step_peak"], f"{name}, memory of {place}")
            # What is kept from step to step is exact (plan_test.cpp), so the rest is compared by itself too. Where a CPU has no fast bf16
            # products, more fp32 operands stand beside them; and the first step's largest pack may come before the last of the deterministic sets is made.
            kept = sum(ours["memory"][kind] for kind in ("weights", "compute_copies", "gradients", "deterministic_sets", "optimizer"))
            self.near(ours["memory"]["activations"] + ours["memory"]["working"], theirs["step_peak"] - kept, f"{name}, activations of {place}",
                      0.2 if {"precision__compute", "training__deterministic"} & changes.keys() else 0.1)

        checkpoints = sorted((directory / "train").glob("checkpoint-*"))
        size = sum(file.stat().st_size for file in checkpoints[-1].iterdir())
        self.near(planned["checkpoint_bytes"], size, f"{name}, checkpoint")

    def test_one_rank(self):
        self.check("1x1x1", (1, 1, 1))

    def test_two_data_ranks(self):
        self.check("2x1x1", (2, 1, 1))

    def test_two_data_ranks_in_bf16_with_whole_states(self):
        self.check("2x1x1-bf16", (2, 1, 1), precision__compute="bf16", mesh__shard_optimizer="false", training__parts=4)

    def test_two_stages(self):
        self.check("1x2x1", (1, 2, 1), training__parts=4)

    def test_two_stages_with_lower_states_for_the_head(self):
        self.check("states-1x2x1", (1, 2, 1), model__pooling="concat_cls", model__pooling_layers=4, training__parts=4, training__max_steps=4)
        self.check("weighted-1x2x1", (1, 2, 1), model__pooling="weighted_layers", model__pooling_first_layer=1, training__parts=4, training__max_steps=4)

    def test_two_stages_in_bf16_that_go_forward_twice(self):
        self.check("1x2x1-bf16", (1, 2, 1), precision__compute="bf16", loss__kind="mcrmse", pipeline__schedule="gpipe", training__parts=4)

    def test_two_tensor_ranks(self):
        self.check("1x1x2", (1, 1, 2))

    def test_two_tensor_ranks_in_bf16(self):
        self.check("1x1x2-bf16", (1, 1, 2), precision__compute="bf16", optimizer__kind="sgd")

    def test_all_axes_with_frozen_layers_and_recomputation(self):
        self.check("2x2x2", (2, 2, 2), training__recompute="layers", freeze__embeddings="true", freeze__lower_layers=1, training__max_steps=4)

    def test_deterministic_sets(self):
        self.check("sets", (2, 1, 1), training__deterministic="true", training__parts=8)

    def test_relative_embeddings_beside_narrow_ones_of_words(self):
        self.check("relative-1x2x1", (1, 2, 1), model__path=self.scratch / "deberta", training__parts=4, training__max_steps=6)
        self.check("relative-1x1x2", (1, 1, 2), model__path=self.scratch / "deberta", precision__compute="bf16", training__max_steps=6)

    def test_folds_one_after_the_other(self):
        directory = self.scratch / "folds"
        settings = self.settings(directory, model__path=self.scratch / "bert", training__epochs=1, mesh__tensor=2)
        told = plan("cv", *settings, "--ranks", 2, "--format", "json")
        self.assert_done(told)
        planned = json.loads(told.stdout)
        self.assert_done(run(2, "cv", *settings))
        usage = {}
        for job in planned["jobs"]:
            lines = json_lines(directory / job["name"] / "metrics.jsonl")
            usage[job["name"]] = next(line for line in lines if line["kind"] == "usage")
            self.assertEqual(job["steps"], usage[job["name"]]["steps"])
        group, = planned["groups"]
        self.assertEqual(set(group["jobs"]), set(usage))
        self.assertEqual(planned["steps"], sum(line["steps"] for line in usage.values()))
        for number, rank in enumerate(group["ranks"]):
            measured = [line["ranks"][number] for line in usage.values()]
            self.assertEqual(rank["sent_tensor"], sum(line["sent_tensor"] for line in measured))
            self.near(rank["memory"]["total"], max(line["step_peak"] for line in measured), f"memory of rank {number}", 0.02)

    def test_text_and_faults(self):
        told = plan(*self.settings(self.scratch / "none"), "--ranks", 4)  # cv, since cv.folds is given
        self.assert_done(told)
        for words in ("plan of cv on 4 ranks", "mesh of ranks 0 1: 2 data x 1 pipeline x 1 tensor", "fold-2", "layout: no faults", "deterministic sets",
                      "sent by a rank in a step", "checkpoint: "):
            self.assertIn(words, told.stdout)
        rules = r"token_embedding/embeddings -> tensor, -; bert\.encoder\.layer\.\d+\.attention\.self\.query\.weight -> tensor, -"
        refused = plan("train", *self.config(self.scratch / "none", layout__rules=rules, mesh__tensor=3))
        self.assertEqual(refused.returncode, 2, refused.stderr)
        self.assertIn(r"the rule meant is 'bert\.embeddings\.word_embeddings\.weight -> tensor~, -'", refused.stdout)
        self.assertIn("4 heads, does not divide among mesh.tensor = 3 ranks; choose a divisor of 4 (4 layers)", refused.stdout)
        self.assertIn("5 faults, for which the run would be refused", refused.stdout)

    def test_bad_input_is_one_line(self):
        good = self.config(self.scratch / "none")
        self.assert_one_line(plan("train", *good, "--ranks", "many"), 2, "--ranks many: expects a number of ranks")
        self.assert_one_line(plan("train", *good, "--format", "xml"), 2, "--format xml: expects text or json")
        self.assert_one_line(plan("predict", *good), 2, "usage: meshfold plan [cv|train]")
        self.assert_one_line(plan("train", *good, "--set", "mesh.tensor=2", "--ranks", 3), 2, "the mesh is 1 data x 1 pipeline x 2 tensor")
        self.assert_one_line(plan("train", *good, "--set", "data.targets=height"), 3, "height")
        self.assert_one_line(plan("train", *good, "--set", "training.epoch=1"), 2, "did you mean 'training.epochs'?")


if __name__ == "__main__":
    unittest.main()
