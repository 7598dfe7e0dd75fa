"""`meshfold selftest` under mpirun: what it says here, and what it says where something is really wrong."""

import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

import harness
from harness import run

CHECKS = ["ranks", "placement", "threads", "memory", "open files", "sums", "bandwidth", "shared memory", "directory", "durable files",
          "file locks", "parallel HDF5", "clock"]


def checks_of(result):
    """The program's page without what mpirun adds."""
    page = json.loads(result.stdout[result.stdout.index("{"):result.stdout.rindex("}") + 1])
    return page, {check["name"]: check for check in page["checks"]}


class Selftest(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="meshfold-test-")
        self.addCleanup(scratch.cleanup)
        self.directory = Path(scratch.name)

    def test_prints_a_row_a_check_and_leaves_nothing_behind(self):
        result = run(3, "selftest", "--dir", self.directory)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        for name in CHECKS:
            self.assertRegex(result.stdout, rf"(?m)^  {name} +(ok|warning) ")
        self.assertIn("no fault", result.stdout)
        self.assertEqual(list(self.directory.iterdir()), [])

    def test_measures_every_axis_and_gives_json(self):
        result = run(4, "selftest", "--run", self.directory / "not/there/yet", "--set", "mesh.pipeline=2", "--set", "mesh.tensor=2",
                     "--set", "mesh.data=1", "--format", "json")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        page, checks = checks_of(result)
        self.assertEqual(list(checks), CHECKS)
        self.assertEqual(page["mesh"], {"data": 1, "pipeline": 2, "tensor": 2})
        self.assertEqual(page["directory"], str(self.directory))
        figures = checks["bandwidth"]["figures"]
        for what in ("sums over the pipeline axis", "sums over the tensor axis", "messages between stages and back"):
            self.assertGreater(figures[f"{what}, 16 MiB, MB/s"], 1)
        self.assertEqual(checks["placement"]["verdict"], "ok" if os.cpu_count() >= 4 else "warning")

    def test_ends_with_the_code_of_the_first_fault_and_tries_the_rest(self):
        result = run(2, "selftest", "--dir", self.directory / "missing", "--format", "json")
        self.assertEqual(result.returncode, 5, result.stdout + result.stderr)
        page, checks = checks_of(result)
        self.assertEqual(page["exit_code"], 5)
        self.assertEqual(list(checks), CHECKS)
        self.assertEqual(checks["directory"]["verdict"], "fault")
        self.assertIn("missing: there is no such directory", checks["directory"]["found"])
        self.assertIn("not tried", checks["parallel HDF5"]["found"])

    def test_finds_that_threads_bound_to_one_core_do_not_run_in_parallel(self):
        core = min(os.sched_getaffinity(0))
        words = harness.command(2, ["selftest", "--dir", self.directory, "--set", "run.threads=2", "--format", "json"])
        result = subprocess.run(["taskset", "-c", str(core), *words], env=harness.environment(), stdin=subprocess.DEVNULL, capture_output=True,
                                text=True, timeout=240)
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        threads = checks_of(result)[1]["threads"]
        self.assertEqual(threads["verdict"], "warning")
        self.assertIn("they do not run in parallel", threads["found"])
        self.assertIn(f"the rank may run on 1 core only ({core})", threads["found"])
        self.assertIn("set run.threads to 1 or less", threads["advice"])
        self.assertLess(threads["figures"]["least speed-up"], 1)

    def test_refuses_a_mesh_that_does_not_fit_the_ranks(self):
        result = run(2, "selftest", "--set", "mesh.tensor=2", "--set", "mesh.data=2")
        self.assertEqual(result.returncode, 2, result.stdout + result.stderr)
        self.assertIn("the mesh is 2 data x 1 pipeline x 2 tensor, but a job has 2 ranks", result.stderr)


if __name__ == "__main__":
    unittest.main()
