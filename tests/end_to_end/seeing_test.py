"""What a person sees of a run: its status from another process, and its report, rebuilt from the files alone."""

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import unittest

from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix

import harness
from harness import BINARY, rank_processes, read_csv, run, start, stop_session, wait_for


def look(*arguments):
    """The program by itself, without mpirun."""
    return subprocess.run([BINARY, *map(str, arguments)], env=harness.environment(), capture_output=True, text=True, timeout=60)


class Seeing(harness.EndToEnd):
    def status(self, directory):
        result = look("status", directory, "--format", "json")
        return json.loads(result.stdout) if result.returncode == 0 else None

    def test_status_and_report_follow_a_run_through_a_crash_to_its_end(self):
        directory = self.scratch / "followed"
        settings = self.settings(directory, cv__folds=2, cv__groups=1, training__epochs=40, log__every_steps=1)
        process = start(2, "cv", *settings)
        try:
            def at_work():
                status = self.status(directory)
                return status if status and any(job["step"] > 20 for job in status["jobs"]) else None
            status = wait_for(at_work, 90, "a status with steps")
            self.assertEqual((status["state"], status["command"], status["ranks"]), ("running", "cv", 2))
            self.assertEqual(sorted(job["state"] for job in status["jobs"]), ["running", "waiting"])
            self.assertGreater(status["seconds_left"], 0)
            self.assertIn("of training left", look("status", directory).stdout)
            self.assert_done(look("report", directory))
            self.assertIn("0 of 2 finished", (directory / "report.html").read_text(encoding="utf-8"))
            for pid in rank_processes(directory):
                os.kill(pid, signal.SIGKILL)
        finally:
            stop_session(process)
        status = wait_for(lambda: (found := self.status(directory))["state"] == "dead" and found, 20, "a dead run")
        self.assertIn("interrupted", [job["state"] for job in status["jobs"]])
        self.assertIn("is dead", look("status", directory).stdout)

        self.assert_done(run(2, "cv", *settings, "--set", "training.epochs=40"))
        status = self.status(directory)
        self.assertEqual((status["state"], status["exit_code"]), ("finished", 0))
        written = (directory / "report.html").read_text(encoding="utf-8")
        self.assert_done(look("report", directory))
        self.assertEqual(written, (directory / "report.html").read_text(encoding="utf-8"))
        texts = {row["id"]: row["text"] for row in read_csv(self.tables / "train.csv")}
        worst = re.findall(r"<li><div><b>(.*?)</b>.*?<p>(.*?)</p>", written)
        self.assertEqual(len(worst), 20)
        for name, text in worst:
            self.assertEqual(text[:20], " ".join(texts[name].split()).replace("&", "&amp;").replace('"', "&quot;")[:20])

    def test_progress_is_one_line_that_fits_the_terminal(self):
        """A terminal of 50 columns, as mpirun's user has it; the rank itself only sees mpirun's pipe."""
        main, watched = pty.openpty()
        fcntl.ioctl(watched, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 50, 0, 0))
        process = subprocess.Popen(harness.command(2, ["cv", *self.settings(self.scratch / "watched", cv__folds=2, training__epochs=40)]),
                                   env=harness.environment() | {"TERM": "xterm"}, stdin=subprocess.DEVNULL, stdout=watched,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        os.close(watched)
        text = b""
        try:
            while chunk := os.read(main, 65536):
                text += chunk
        except OSError:  # the other end is closed
            pass
        os.close(main)
        self.assertEqual(process.wait(60), 0, text.decode())
        shown = re.findall("\r\x1b\\[K(fold-0 [^\r\n]*)", text.decode())
        self.assertGreater(len(shown), 2, text.decode())
        self.assertLess(max(map(len, shown)), 50)
        self.assertNotIn("\nfold-0 waits", text.decode(), "progress in a line of its own")

    def test_failure_is_told_by_status(self):
        directory = self.scratch / "failed"
        result = run(1, "cv", *self.settings(directory, tokenizer__max_length=500))
        self.assertEqual(result.returncode, 2)
        status = self.status(directory)
        self.assertEqual((status["state"], status["exit_code"]), ("failed", 2))
        self.assertIn("tokenizer.max_length", status["message"])

    def test_confusions_and_reliability_are_those_of_scikit_learn(self):
        directory = self.scratch / "classes"
        self.assert_done(run(2, "cv", *self.settings(directory, model__task="classification", data__targets="source",
                                                     loss__kind="cross_entropy", cv__folds=2, training__epochs=8)))
        html = (directory / "report.html").read_text(encoding="utf-8")
        oof = read_csv(directory / "oof.csv")
        names = sorted({row["source"] for row in oof})
        probabilities = [[float(row[f"pred_{name}"]) for name in names] for row in oof]
        predicted = [names[row.index(max(row))] for row in probabilities]
        truth = [row["source"] for row in oof]
        shown = [int(count) for count in re.findall(r'<td style="--share:\d+%"[^>]*>(\d+)</td>', html)]
        self.assertEqual(shown, confusion_matrix(truth, predicted, labels=names).ravel().tolist())
        right, said = calibration_curve([a == b for a, b in zip(truth, predicted)], [max(row) for row in probabilities], n_bins=10)
        points = re.findall(r"<title>probability (\S+): share that is right (\S+) \(", html)
        self.assertEqual(len(points), len(right))
        for (x, y), wanted_x, wanted_y in zip(points, said, right):
            self.assertAlmostEqual(float(x), wanted_x, places=4)
            self.assertAlmostEqual(float(y), wanted_y, places=4)


if __name__ == "__main__":
    unittest.main()
