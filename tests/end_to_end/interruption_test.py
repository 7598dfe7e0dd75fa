"""What happens when a run is cut off: by force, by a signal, by a rank that dies or stops answering."""

import os
import signal
import time
import unittest

import harness
from harness import json_lines, rank_processes, run, start, stop_session, wait_for


class Interruption(harness.EndToEnd):
    steady = {"cv__folds": 2, "cv__groups": 1, "training__epochs": 6, "checkpoint__every_steps": 5, "log__every_steps": 1}

    def run_until_checkpoint(self, directory, ranks, **changes):
        process = start(ranks, "cv", *self.settings(directory, **self.steady, **changes))
        try:
            wait_for(lambda: list(directory.glob("fold-*/checkpoint-*/manifest.json")), 90, "a checkpoint")
        except BaseException:
            stop_session(process)
            raise
        return process

    def weights(self, directory):
        return (directory / "model" / "model.safetensors").read_bytes()

    def undisturbed(self):
        directory = self.scratch / "undisturbed"
        if not directory.exists():
            self.assert_done(run(2, "cv", *self.settings(directory, **self.steady)))
        return directory

    def test_killed_run_continues_to_bitwise_the_same_weights(self):
        reference = self.undisturbed()
        directory = self.scratch / "killed"
        process = self.run_until_checkpoint(directory, 2)
        for pid in rank_processes(directory):
            os.kill(pid, signal.SIGKILL)
        stop_session(process)

        self.assert_done(run(2, "cv", *self.settings(directory, **self.steady)))

        self.assertEqual(self.weights(reference), self.weights(directory))
        self.assertEqual((reference / "oof.csv").read_bytes(), (directory / "oof.csv").read_bytes())
        for fold in range(2):
            steps = [line["step"] for line in json_lines(directory / f"fold-{fold}" / "metrics.jsonl") if line["kind"] == "train"]
            self.assertEqual(steps, sorted(set(steps)), "a step is reported twice")

    def test_request_to_stop_commits_and_continues_to_the_same_weights(self):
        reference = self.undisturbed()
        directory = self.scratch / "stopped"
        process = self.run_until_checkpoint(directory, 2)
        os.kill(rank_processes(directory)[0], signal.SIGUSR1)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 75)

        self.assert_done(run(2, "cv", *self.settings(directory, **self.steady)))

        self.assertEqual(self.weights(reference), self.weights(directory))

    def test_lost_rank_ends_the_job_within_30_s_and_leaves_no_process(self):
        directory = self.scratch / "lost"
        process = self.run_until_checkpoint(directory, 3)
        os.kill(rank_processes(directory)[-1], signal.SIGKILL)
        began = time.monotonic()
        process.communicate(timeout=30)
        self.assertLess(time.monotonic() - began, 30)
        self.assertNotEqual(process.returncode, 0)
        self.assertEqual(rank_processes(directory), [])

    def test_silent_rank_ends_the_job_with_one_line_after_the_deadline(self):
        directory = self.scratch / "silent"
        process = self.run_until_checkpoint(directory, 3, run__deadline_s=5)
        os.kill(rank_processes(directory)[-1], signal.SIGSTOP)
        began = time.monotonic()
        try:
            _, errors = process.communicate(timeout=30)
        finally:
            for pid in rank_processes(directory):
                os.kill(pid, signal.SIGKILL)
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(process.returncode, 6, errors)
        self.assertIn("meshfold: rank ", errors)

    def test_stopped_rank_of_another_group_ends_the_waiting_job(self):
        directory = self.scratch / "stopped-elsewhere"
        # One fold a group; the second never ends by itself, and nobody waits on it with a deadline.
        process = start(2, "cv", *self.settings(directory, cv__folds=2, cv__groups=2, training__epochs=400, log__every_steps=1,
                                                run__heartbeat_s=4))
        try:
            wait_for(lambda: (directory / "fold-1/metrics.jsonl").exists() and '"train"' in (directory / "fold-1/metrics.jsonl").read_text(),
                     60, "a step of fold 1")
            os.kill(rank_processes(directory)[1], signal.SIGSTOP)
            began = time.monotonic()
            _, errors = process.communicate(timeout=30)
        finally:
            for pid in rank_processes(directory):
                os.kill(pid, signal.SIGKILL)
        self.assertLess(time.monotonic() - began, 30)
        self.assertEqual(process.returncode, 6, errors)
        ours = [line for line in errors.splitlines() if line.startswith("meshfold: ")]
        self.assertEqual(len(ours), 1, errors)
        self.assertIn("no sign of life from rank ", ours[0])

    def test_request_to_one_rank_stops_the_jobs_of_all_groups(self):
        directory = self.scratch / "stopped-together"
        process = start(2, "cv", *self.settings(directory, cv__folds=2, cv__groups=2, training__epochs=400, log__every_steps=1))
        try:
            wait_for(lambda: all((directory / f"fold-{f}/metrics.jsonl").exists() for f in range(2)), 60, "both folds at work")
            os.kill(rank_processes(directory)[1], signal.SIGUSR1)
            process.communicate(timeout=60)
        finally:
            stop_session(process)
        self.assertEqual(process.returncode, 75)
        for fold in range(2):
            self.assertTrue(list((directory / f"fold-{fold}").glob("checkpoint-*/manifest.json")), f"fold {fold} committed nothing")


if __name__ == "__main__":
    unittest.main()
