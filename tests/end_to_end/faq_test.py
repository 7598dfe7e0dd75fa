"""Every error message that docs/faq.md explains is provoked as a user would, and is printed with an exit code of its section."""

import os
import re
import shutil
import signal
import subprocess
import unittest

import harness
from harness import BINARY, REPOSITORY, json_lines, rank_processes, read_csv, start, wait_for, write_csv

# A call that hangs is not to be had at will; tests/dist/watchdog_test.cpp sees the line.
ELSEWHERE = {"made no progress in '…' for"}


def explained():
    """Exit codes of the section, and heading."""
    codes = set()
    for line in (REPOSITORY / "docs/faq.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            codes = {int(code) for code in re.findall(r"\d+", line)}
        elif heading := re.fullmatch(r"### `(.*)`", line):
            yield codes, heading.group(1)


def alone(*arguments):
    """The program as its own only rank: mpirun takes two seconds more to end a run that failed."""
    return subprocess.run([BINARY, *map(str, arguments)], env=harness.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


class Faq(harness.EndToEnd):
    rows, test_rows = 120, 20

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.finished = cls.scratch / "finished"
        result = alone("cv", *cls().small_cv(cls.finished))
        assert result.returncode == 0, result.stderr

    def small_cv(self, directory, **changes):
        return self.settings(directory, **{"cv__folds": 2, "training__epochs": 1, **changes})

    def cv(self, **changes):
        shutil.rmtree(self.scratch / "refused", ignore_errors=True)
        return alone("cv", *self.small_cv(self.scratch / "refused", **changes))

    def changed_table(self, change):
        rows = read_csv(self.tables / "train.csv")
        change(rows)
        write_csv(self.scratch / "changed.csv", rows)
        return self.scratch / "changed.csv"

    def with_cell(self, column, value):
        return self.cv(data__train=self.changed_table(lambda rows: rows[3].update({column: value})))

    def model_without(self, *files):
        shutil.rmtree(self.scratch / "incomplete", ignore_errors=True)
        shutil.copytree(self.model, self.scratch / "incomplete", ignore=shutil.ignore_patterns(*files))
        return self.cv(model__path=self.scratch / "incomplete")

    def copy_of_finished(self, name):
        return shutil.copytree(self.finished, self.scratch / name)

    def misquoted(self):
        text = (self.tables / "train.csv").read_text(encoding="utf-8").splitlines()
        identifier = text[1].split(",")[0]
        (self.scratch / "misquoted.csv").write_text(f'{text[0]}\n"{identifier}" or so{text[1][len(identifier):]}\n', encoding="utf-8")
        return self.cv(data__train=self.scratch / "misquoted.csv")

    def swapped_submission(self):
        sample = read_csv(self.tables / "sample_submission.csv")
        write_csv(self.scratch / "swapped.csv", [sample[1], sample[0], *sample[2:]])
        return self.cv(data__test=self.tables / "test.csv", data__sample_submission=self.scratch / "swapped.csv")

    def occupied_export(self):
        (self.scratch / "occupied").mkdir()
        (self.scratch / "occupied/mine.txt").write_text("mine")
        return alone("export", *self.small_cv(self.finished, export__path=self.scratch / "occupied"))

    def unfinished(self):
        directory = self.copy_of_finished("unfinished")
        (directory / "fold-1/done.json").unlink()
        return alone("predict", "--run", directory, "--set", f"data.test={self.tables / 'test.csv'}")

    def damaged_checkpoint(self):
        directory = self.copy_of_finished("damaged")
        shard = max((file for file in directory.glob("fold-0/checkpoint-*/*") if file.suffix == ".safetensors"), key=lambda file: file.stat().st_size)
        content = bytearray(shard.read_bytes())
        content[-5] ^= 1
        shard.write_bytes(content)
        return alone("checkpoint", "verify", directory)

    def endless(self, name, ranks, request, victim, **changes):
        """A run that gets a signal once it has made steps."""
        directory = self.scratch / name
        process = start(ranks, "train", *self.small_cv(directory, cv__folds=None, cv__strategy=None, data__group=None, training__epochs=400, log__every_steps=1,
                                                       **changes))
        try:
            wait_for(lambda: (directory / "train/metrics.jsonl").exists() and len(json_lines(directory / "train/metrics.jsonl")) > 3, 60, "a step")
            os.kill(rank_processes(directory)[victim], request)
            output, errors = process.communicate(timeout=60)
        finally:
            for pid in rank_processes(directory):
                os.kill(pid, signal.SIGKILL)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    PROVOKED = {
        "unknown key '…'": lambda self: self.cv(training__epoch=2),
        "is not set, and … needs it": lambda self: self.cv(data__train=None),
        ": there is no such file": lambda self: self.cv(data__train="absent.csv"),
        "was started with … set it back, take another --run directory, or continue with --accept-changes":
            lambda self: alone("cv", *self.small_cv(self.finished, optimizer__learning_rate=0.5)),
        "exists and was not exported by Meshfold; set export.path to a new directory": occupied_export,
        "ranks; start more with mpirun -n, or set it to auto": lambda self: self.cv(mesh__data=2),
        "needs a power of two; set it to 4, say": lambda self: self.cv(training__deterministic="true", training__parts=3),
        "more folds (…) than groups (…": lambda self: self.cv(cv__folds=100),
        "there is no run.json in it; name the --run directory of a cv or train": lambda self: alone("status", self.tables),
        "no such column; …the columns are": lambda self: self.cv(data__group="author"),
        "is already that of row … every row needs its own": lambda self: self.cv(data__train=self.changed_table(lambda rows: rows.append(rows[0]))),
        "empty text; remove the row or set data.empty_text = keep": lambda self: self.with_cell("text", "  "),
        "is not a number like -1.5 or 2e-3": lambda self: self.with_cell("sd", "1,5"),
        "text after the closing quote of a field; double the quotes inside it": misquoted,
        "the sample submission must list the test ids in their order": swapped_submission,
        "there is no config.json in it; name a Hugging Face model directory": lambda self: self.cv(model__path="bert-base-uncased"),
        "is missing, and so is pytorch_model.bin; fetch the weights": lambda self: self.model_without("model.safetensors"),
        "has positions for … tokens; lower it": lambda self: self.cv(tokenizer__max_length=512),
        "no tokenizer: a model directory needs vocab.txt": lambda self: self.model_without("vocab.txt"),
        "of … has not finished": unfinished,
        "has another checksum than the manifest says": damaged_checkpoint,
        "check free space, quota and permissions": lambda self: alone("cv", *self.small_cv("/proc/run")),
        "in … and a peer did not answer; look at the last lines of the other ranks' logs":
            lambda self: self.endless("silent", 2, signal.SIGSTOP, -1, run__deadline_s=4, run__heartbeat_s=0),
        "no sign of life from … for": lambda self: self.endless("stopped", 2, signal.SIGSTOP, -1, run__heartbeat_s=2),
        "is …; lower optimizer.learning_rate": lambda self: self.cv(training__max_grad_norm=0, optimizer__learning_rate=1e30),
        "start the same command again to continue": lambda self: self.endless("asked", 1, signal.SIGUSR1, 0),
    }

    def test_every_message_is_printed_with_an_exit_code_of_its_section(self):
        headings = list(explained())
        self.assertEqual({heading for _, heading in headings}, set(self.PROVOKED) | ELSEWHERE)
        for codes, heading in headings:
            if heading in ELSEWHERE:
                continue
            with self.subTest(heading):
                result = self.PROVOKED[heading](self)
                said = f"stdout:\n{result.stdout}\nstderr:\n{result.stderr}"
                self.assertIn(result.returncode, codes, said)
                self.assertRegex(said, ".*".join(map(re.escape, heading.split("…"))))


if __name__ == "__main__":
    unittest.main()
