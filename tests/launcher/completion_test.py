"""The script of `meshfold completion bash`, sourced in a real bash and asked for completions, by call and through a terminal."""

import os
import pty
import select
import shutil
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

BINARY = Path(os.environ["MESHFOLD_BINARY"])
ENVIRONMENT = {k: v for k, v in os.environ.items() if k != "LD_LIBRARY_PATH"} | {"PATH": f"{BINARY.parent}:{os.environ['PATH']}", "TERM": "dumb"}


class Completion(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = Path(tempfile.mkdtemp(prefix="meshfold-completion-"))
        (cls.directory / "runs").mkdir()
        (cls.directory / "table.csv").touch()
        script = subprocess.run([BINARY, "completion", "bash"], env=ENVIRONMENT, check=True, capture_output=True, text=True).stdout
        (cls.directory / "meshfold.bash").write_text(script)
        subprocess.run(["bash", "-n", cls.directory / "meshfold.bash"], check=True)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.directory)

    def candidates(self, line):
        """What bash would offer at the end of `line`."""
        command = 'source ./meshfold.bash; COMP_LINE=$1; COMP_POINT=${#1}; _meshfold; printf "%s\\n" "${COMPREPLY[@]}"'
        result = subprocess.run(["bash", "--norc", "-c", command, "-", line], cwd=self.directory, env=ENVIRONMENT, capture_output=True, text=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.split()

    def test_offers_commands(self):
        self.assertEqual(self.candidates("meshfold tok"), ["tokenize"])
        self.assertIn("cv", self.candidates("meshfold "))
        self.assertEqual(self.candidates("meshfold --run runs checkp"), ["checkpoint"])

    def test_offers_the_flags_that_the_command_takes(self):
        self.assertIn("--debug", self.candidates("meshfold cv --"))
        self.assertNotIn("--debug", self.candidates("meshfold predict --"))
        self.assertEqual(self.candidates("meshfold cv --acc"), ["--accept-changes"])

    def test_offers_the_keys_of_the_command(self):
        self.assertEqual(self.candidates("meshfold cv --set training.epo"), ["training.epochs="])
        self.assertEqual(self.candidates("meshfold predict --set training.epo"), [])
        self.assertEqual(self.candidates("meshfold cv --set run.seed=1 --set training.epo"), ["training.epochs="])
        self.assertEqual(self.candidates("meshfold train --debug --accept-changes training.epo"), ["training.epochs"])

    def test_offers_the_values_of_an_option_behind_its_key(self):
        self.assertEqual(self.candidates("meshfold cv --set model.task=reg"), ["regression"])
        self.assertEqual(sorted(self.candidates("meshfold cv --set cv.metric_mode=")), ["auto", "max", "min"])
        self.assertEqual(self.candidates("meshfold cv --set data.train=ta"), ["table.csv"])
        self.assertEqual(self.candidates("meshfold cv --set training.epochs="), [])

    def test_offers_words_and_directories(self):
        self.assertEqual(self.candidates("meshfold checkpoint v"), ["verify"])
        self.assertEqual(self.candidates("meshfold checkpoint verify ru"), ["runs"])
        self.assertEqual(self.candidates("meshfold cv --run ru"), ["runs"])
        self.assertEqual(self.candidates("meshfold completion "), ["bash"])

    def test_completes_what_is_typed_at_a_terminal(self):
        pid, terminal = pty.fork()
        if pid == 0:
            os.chdir(self.directory)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], ENVIRONMENT | {"PS1": "$ "})
        try:
            os.write(terminal, b"source ./meshfold.bash\n")
            self.read_until(terminal, "meshfold.bash\r\n$ ")
            os.write(terminal, b"meshfold cv --set model.tas\tclassi\t")
            self.read_until(terminal, "--set model.task=classification ")
        finally:
            os.close(terminal)
            os.waitpid(pid, 0)

    def read_until(self, terminal, wanted, seconds=20):
        text, end = "", time.monotonic() + seconds
        while wanted not in text.replace("\x1b[?2004h", "").replace("\x1b[?2004l\r", ""):
            ready, _, _ = select.select([terminal], [], [], max(0.0, end - time.monotonic()))
            self.assertTrue(ready, f"not seen: {wanted!r} in {text!r}")
            text += os.read(terminal, 65536).decode(errors="replace")


if __name__ == "__main__":
    unittest.main()
