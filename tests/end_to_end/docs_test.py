"""What the documentation says is tried: every shell command of README.md and docs/*.md is run in a directory with small
stand-ins for the reader's files, every option that a page names is in the option table, and every error message that
docs/faq.md explains is one that the sources can print.

Shell commands stand in ```sh blocks. The blocks of a page run in order in one directory, as a reader would type them."""

import json
import os
import re
import shlex
import shutil
import stat
import subprocess
import sys
import unittest
from pathlib import Path

import harness
from harness import BINARY, REPOSITORY, read_csv, write_csv

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]

# What a page may call, and what is not run as it stands: scripts that install and build are checked for their syntax, and quickstart leaves a
# small run at the place of its large one.
PROGRAMS = {"build/release/meshfold", "mpirun", "scripts/quickstart", "scripts/test", "scripts/build", "scripts/small_deberta.py", "cat", "head", "tail", "ls",
            "tensorboard", "sbatch", "squeue", "scontrol", "scancel"}
SMALL_RUN = ("mpirun -n 2 build/release/meshfold cv --config examples/vader.ini --run runs/quickstart --set data.train=data/vader/train.csv "
             "--set data.test=test.csv --set training.epochs=1")
SUBSTITUTES = {
    "scripts/quickstart": f"bash -n scripts/quickstart\n{SMALL_RUN}",
    "scripts/test": "bash -n scripts/test",
    "scripts/build": "bash -n scripts/build",
}
# Programs of others that stand before the real ones on PATH: sbatch runs the job at once, tensorboard reads the events and ends, python3 is the one
# that has the packages, with the libraries that its torch needs.
STAND_INS = {
    "python3": f'LD_LIBRARY_PATH={shlex.quote(os.environ.get("LD_LIBRARY_PATH", ""))} exec {shlex.quote(sys.executable)} "$@"',
    "sbatch": r'''eval "log=$(sed -n 's/^#SBATCH --output=//p' "$1")"
SLURM_JOB_ID=1 bash "$1" >"${log//%j/1}" 2>&1 && echo "Submitted batch job 1"''',
    "squeue": "echo JOBID",
    "scontrol": 'echo "scontrol $*"',
    "scancel": 'echo "scancel $*"',
    "tensorboard": f'''exec {shlex.quote(sys.executable)} - "$2" <<'END'
import sys
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer
events = EventMultiplexer().AddRunsFromDirectory(sys.argv[1])
events.Reload()
runs = [name for name, tags in events.Runs().items() if "train/loss" in tags["scalars"]]
assert len(runs) > 1, events.Runs()
END''',
}
# Words with a dot between back quotes that are no options: files, by what their names end with, and names of others or of tests and tensors.
FILE_ENDINGS = ("bin", "csv", "html", "ini", "json", "jsonl", "model", "pkl", "safetensors", "txt")
OTHER_DOTTED = {"section.key", "scipy.stats", "torch.save", "end_to_end.essay", "end_to_end.several_texts", "memory.total", "classifier.weight", "classifier.bias",
                "pooling.layer_weights"}


def shell_blocks(page):
    return re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.M | re.S)


def commands(block):
    """The commands of a block; continued lines and here-documents belong to their command."""
    found, end = [], None
    for line in block.splitlines():
        if end is not None or (found and found[-1].endswith("\\")):
            found[-1] += "\n" + line
            end = None if line == end else end
        elif line.strip() and not line.lstrip().startswith("#"):
            found.append(line)
            here = re.search(r"<<'(\w+)'$", line)
            end = here.group(1) if here else None
    return found


def options_named(text):
    """Every `section.key` between back quotes, alone or in a longer piece of text or code; shell blocks are run instead."""
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
    words = [word for span in re.findall(r"`([^`\n]+)`", prose) for word in re.findall(r"(?<![\w./<>*-])[a-z]\w*\.\w+(?![\w./(*-])", span)]
    return [word for word in words if word.partition(".")[2] not in FILE_ENDINGS and word not in OTHER_DOTTED]


def without_comment(command):
    return re.sub(r"[ ]{2,}#.*$", "", command)


def program_of(command):
    return shlex.split(command.splitlines()[0].rstrip("\\"), comments=True)[0]


def source_texts():
    """The string literals of all sources, neighbours joined as the compiler does."""
    texts = []
    for folder in ("data", "dist", "jobs", "launcher", "models"):
        for source in (REPOSITORY / folder).rglob("*.[ch]pp"):
            joined = re.sub(r'"\s*\n\s*"', "", source.read_text(encoding="utf-8"))
            literals = re.finditer(r''''(?:[^'\\\n]|\\.)'|"((?:[^"\\\n]|\\.)*)"''', joined)
            texts += [literal.group(1) for literal in literals if literal.group(1)]
    return texts


class Docs(harness.EndToEnd):
    rows, test_rows = 60, 20

    def sandbox(self, name):
        """A directory with the files that the pages speak of."""
        directory = self.scratch / name
        (directory / "build/release").mkdir(parents=True)
        (directory / "build/release/meshfold").symlink_to(BINARY)
        for folder in ("scripts", "examples", "slurm"):
            (directory / folder).symlink_to(REPOSITORY / folder)
        (directory / "bin").mkdir()
        for program, script in STAND_INS.items():
            path = directory / "bin" / program
            path.write_text("#!/bin/bash\n" + script + "\n", encoding="utf-8")
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        rows = read_csv(self.tables / "train.csv")
        write_csv(directory / "train.csv", [{"id": row["id"], "text": row["text"], "score": row["mean"], "author": row["doc"],
                                             "topic": row["source"]} for row in rows])
        test = [{"id": row["id"], "text": row["text"]} for row in read_csv(self.tables / "test.csv")]
        write_csv(directory / "test.csv", test)
        write_csv(directory / "new.csv", test)
        (directory / "new.jsonl").write_text("".join(json.dumps(row) + "\n" for row in test), encoding="utf-8")
        (directory / "mine.ini").write_text("[data]\ntrain = train.csv\ntargets = score\n[model]\npath = models/bert\n[cv]\nfolds = 2\n",
                                            encoding="utf-8")
        (directory / "data").mkdir()
        shutil.copytree(self.tables, directory / "data/vader")
        for model in ("models/bert", "data/minilm"):
            shutil.copytree(self.model, directory / model)
        return directory

    def environment(self, directory):
        one_machine = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1", "OMPI_MCA_rmaps_base_oversubscribe": "1",
                       "OMPI_MCA_hwloc_base_binding_policy": "none", "OMPI_MCA_mpi_yield_when_idle": "1"}
        return harness.environment() | one_machine | {"PATH": f"{directory / 'bin'}:{os.environ['PATH']}"}

    def try_page(self, page):
        directory = self.sandbox(page.stem)
        for command in (without_comment(command) for block in shell_blocks(page) for command in commands(block)):
            program = program_of(command)
            self.assertIn(program, PROGRAMS, f"{page.name}: `{command}` calls a program that this test does not know")
            result = subprocess.run(["bash", "-ec", SUBSTITUTES.get(program, command)], cwd=directory, env=self.environment(directory),
                                    stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
            self.assertEqual(result.returncode, 0, f"{page.name}: {command}\nstdout:\n{result.stdout}\nstderr:\n{result.stderr}")

    def test_commands_stand_where_they_are_tried(self):
        """Indented blocks are not run, so none of them may look like something to type."""
        for page in PAGES:
            outside = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
            for line in re.findall(r"^    +(\S.*)$", outside, re.M):
                self.assertNotRegex(line, r"^(mpirun|scripts/|build/|sbatch|python|pip|git) ?", f"{page.name}: put it into a ```sh block")

    def test_commands_that_are_named_exist(self):
        listed = subprocess.run([BINARY, "--help"], env=harness.environment(), capture_output=True, text=True, check=True).stdout
        known = set(re.findall(r"^  ([a-z-]+) ", listed, re.M))
        self.assertIn("cv", known)
        for page in PAGES:
            for name in re.findall(r"`(?:build/release/)?meshfold ([a-z-]+)[ `]", page.read_text(encoding="utf-8")):
                self.assertIn(name, known | {"--help", "--version"}, f"{page.name} names `meshfold {name}`")

    def test_options_that_are_named_exist(self):
        table = subprocess.run([BINARY, "options"], env=harness.environment(), capture_output=True, text=True, check=True).stdout
        known = set(re.findall(r"^\| `(\S+)` \|", table, re.M))
        self.assertIn("training.epochs", known)
        self.assertEqual(options_named("`--set training.epoch=3`, `config.json` and `data.tran = a.csv`"), ["training.epoch", "data.tran"])
        named = {page.name: options_named(page.read_text(encoding="utf-8")) for page in PAGES}
        self.assertGreater(sum(map(len, named.values())), 200)
        for page, keys in named.items():
            for key in keys:
                self.assertIn(key, known, f"{page} names an option that is not in the table")

    def test_messages_of_the_faq_are_in_the_sources(self):
        texts = source_texts()
        headings = re.findall(r"^### `(.*)`$", (REPOSITORY / "docs/faq.md").read_text(encoding="utf-8"), re.M)
        self.assertGreater(len(headings), 20)
        for heading in headings:
            for fragment in heading.split("…"):
                fragment = fragment.strip()
                self.assertTrue(len(fragment) < 3 or any(fragment in text for text in texts), f"no source prints “{fragment}”")

    def test_links_lead_somewhere(self):
        def anchors(page):
            headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
            return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}
        for page in PAGES:
            for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
                if "://" in target:
                    continue
                path, _, anchor = target.partition("#")
                file = (page.parent / path) if path else page
                self.assertTrue(file.exists(), f"{page.name} links to {target}")
                if anchor:
                    self.assertIn(anchor, anchors(file), f"{page.name} links to {target}")


def add_page_tests():
    for page in PAGES:
        if shell_blocks(page):
            name = "test_commands_of_" + re.sub(r"\W", "_", page.stem.lower())
            setattr(Docs, name, lambda self, page=page: self.try_page(page))


add_page_tests()

if __name__ == "__main__":
    unittest.main()
