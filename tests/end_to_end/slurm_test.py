"""The batch script of `meshfold sbatch`: what it submits, and what it does with Slurm's signals and the program's exit codes. Slurm's programs
are stand-ins that write down what they are asked."""

import os
import shutil
import signal
import subprocess
import unittest

import harness
from harness import BINARY, wait_for

WAITING_MPIRUN = """trap 'echo warned >>warnings; sleep 0.3; exit 75' USR1
touch started
while :; do sleep 0.05; done"""


class Slurm(harness.EndToEnd):
    def setUp(self):
        self.directory = self.scratch / self._testMethodName
        (self.directory / "bin").mkdir(parents=True)
        self.stand_in("scontrol", 'echo "$*" >>asked')

    def stand_in(self, program, script):
        path = self.directory / "bin" / program
        path.write_text("#!/bin/bash\n" + script + "\n", encoding="utf-8")
        path.chmod(0o755)

    def environment(self, **more):
        one_machine = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1"}
        return harness.environment() | one_machine | {"PATH": f"{self.directory / 'bin'}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"} | more

    def sbatch(self, *words, **changes):
        arguments = self.settings("a run", **changes)
        return subprocess.run([BINARY, "sbatch", "cv", *map(str, arguments), *words], cwd=self.directory, env=self.environment(),
                              capture_output=True, text=True, timeout=60)

    def script(self, **changes):
        self.assert_done(self.sbatch("--dry-run", "--", "--ntasks=2", **changes))
        return self.directory / "a run" / "batch.sh"

    def start_script(self, script, **more):
        return subprocess.Popen(["bash", script], cwd=self.directory, env=self.environment(**more), start_new_session=True,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def asked(self):
        file = self.directory / "asked"
        return file.read_text(encoding="utf-8").split("\n")[:-1] if file.exists() else []

    def test_submits_a_script_with_slurms_options_in_it(self):
        self.stand_in("sbatch", 'cp "$1" submitted; echo "Submitted batch job 17"')

        result = self.sbatch("--", "--nodes=2", "--time=4:00:00", data__targets="mean,it's")

        self.assert_done(result)
        self.assertIn("Submitted batch job 17", result.stdout)
        text = (self.directory / "submitted").read_text(encoding="utf-8")
        for line in ("#SBATCH --nodes=2", "#SBATCH --time=4:00:00", "#SBATCH --signal=B:USR1@120", "#SBATCH --requeue"):
            self.assertIn(line, text.splitlines())
        self.assertIn(r"--set 'data.targets=mean,it'\''s'", text)
        self.assertNotIn("{{", text)
        subprocess.run(["bash", "-n", self.directory / "submitted"], check=True)
        if shutil.which("shellcheck"):
            subprocess.run(["shellcheck", "--exclude=SC2317", self.directory / "submitted"], check=True)

    def test_refuses_before_the_queue_what_cv_would_refuse_after_it(self):
        result = self.sbatch("--", "--ntasks=2", data__train="nowhere.csv")
        self.assertEqual(result.returncode, 2)
        self.assertIn("nowhere.csv", result.stderr)
        self.stand_in("sbatch", "echo 'invalid partition' >&2; exit 1")
        result = self.sbatch("--", "--ntasks=2")
        self.assertEqual(result.returncode, 2)
        self.assertIn("sbatch did not take", result.stderr)
        result = self.sbatch("--", "ntasks=2")
        self.assertIn("'ntasks=2'", result.stderr)

    def test_hands_every_warning_on_and_requeues_a_stopped_run(self):
        self.stand_in("mpirun", WAITING_MPIRUN)
        process = self.start_script(self.script())
        wait_for((self.directory / "started").exists, 10, "the start of mpirun")

        process.send_signal(signal.SIGTERM)
        wait_for((self.directory / "warnings").exists, 10, "the warning")
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=20)

        self.assertEqual(process.returncode, 0)
        self.assertEqual(self.asked(), ["requeue 17"])

    def test_gives_up_after_a_hundred_restarts(self):
        self.stand_in("mpirun", "exit 75")
        process = self.start_script(self.script(), SLURM_RESTART_COUNT="100")
        process.communicate(timeout=20)
        self.assertEqual((process.returncode, self.asked()), (75, []))

    def test_ends_with_the_programs_own_exit_code(self):
        self.stand_in("mpirun", "exit 3")
        process = self.start_script(self.script())
        process.communicate(timeout=20)
        self.assertEqual((process.returncode, self.asked()), (3, []))

    def test_a_real_run_that_is_warned_is_requeued_and_goes_on(self):
        script = self.script(cv__folds=2, training__epochs=30)
        run = self.directory / "a run"
        process = self.start_script(script)
        wait_for(lambda: list(run.glob("fold-*/checkpoint-*/manifest.json")), 60, "a checkpoint")
        process.send_signal(signal.SIGUSR1)
        process.communicate(timeout=60)
        self.assertEqual((process.returncode, self.asked()), (0, ["requeue 17"]))

        process = self.start_script(script, SLURM_RESTART_COUNT="1")
        _, errors = process.communicate(timeout=120)

        self.assertEqual(process.returncode, 0, errors)
        self.assertTrue((run / "report.html").exists())


if __name__ == "__main__":
    unittest.main()
