#!/usr/bin/env python3
"""Records the bits of what the program computes, so that a change which must not touch them can prove it. First the old build, then the new one:

  bench/record_bits.py old/meshfold --data DIR --out bits.json
  bench/record_bits.py new/meshfold --data DIR --against bits.json

The second records anew and prints for each case `equal`, or `DIFFERENT` with the first difference. It exits with 1 if anything differs.

Most cases are trainings of 40 steps: MiniLM and a small DeBERTa, in fp32 and bf16, on 1 rank, 2 data ranks, 2 tensor ranks and 2 stages. Further ones
stop and continue, change the mesh, cross-validate, and take other heads, losses and optimizers. Recorded are every step's loss, gradient norm and
learning rate; scores and predictions; all tensors of the checkpoints, with the optimizer's; the exported directory. Then follows what `predict` writes,
from the run and from the export. Token ids and what `plan` counts are cases of their own. bit_cases.py lists them all, run_bits.py says what is read.

Bits depend on the CPU's instruction sets and on LibTorch: use one machine and one LibTorch for both. DIR holds vader.csv and minilm
(scripts/fetch_data.py). Needs torch, transformers, sentencepiece and h5py. A recording takes four to six minutes on two cores; other work on these
changes no bit.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from pathlib import Path

import bit_cases
from bit_inputs import prepare
from run_bits import differences


def machine():
    """What bits depend on besides the program: the CPU and its instruction sets."""
    fields = dict(re.findall(r"^(model name|flags)\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE))
    flags = sorted(flag for flag in fields.get("flags", "").split() if flag.startswith(("avx", "amx", "fma")))
    return {"cpu": fields.get("model name", "unknown"), "instruction_sets": " ".join(flags)}


def refuse_other_machine(recorded):
    for key, here in machine().items():
        if recorded[key] != here:
            sys.exit(f"record_bits.py: recorded on another machine, whose bits may differ: {key} was '{recorded[key]}', is '{here}'. "
                     "Record the old build on this machine.")


def in_words(bits, recorded):
    """`equal`, or the first difference and how many there are."""
    found = list(differences(recorded, bits))
    if not found:
        return "equal"
    place, old, new = found[0]
    return f"DIFFERENT: {place}: was {old!r}, is {new!r}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")


def record_all(cases, program, path):
    bits = {}
    for name, case in cases.items():
        start = time.monotonic()
        bits[name] = bit_cases.record(case, program)
        print(f"{name}: recorded in {time.monotonic() - start:.1f} s", flush=True)
    path.write_text(json.dumps({"machine": machine(), "cases": bits}, indent=1) + "\n", encoding="utf-8")


def compare_case(case, program, recorded):
    try:
        return in_words(bit_cases.record(case, program), recorded)
    except bit_cases.ProgramFailed as failure:
        return f"DIFFERENT: {' '.join(str(failure).split())}"


def compare_all(cases, program, recorded):
    """True if all cases are as recorded. A case that only one side has is a difference."""
    print("| case | bits |\n| --- | --- |", flush=True)
    all_equal = True
    for name in [*cases, *(name for name in recorded if name not in cases)]:
        if name not in cases:
            verdict = "DIFFERENT: recorded, but no longer a case"
        elif name not in recorded:
            verdict = "DIFFERENT: a case that was not recorded"
        else:
            verdict = compare_case(cases[name], program, recorded[name])
        all_equal &= verdict == "equal"
        print(f"| {name} | {verdict} |", flush=True)
    return all_equal


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("meshfold", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--only", default="", metavar="REGEX", help="only cases whose names match")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--out", type=Path, help="the file to write")
    what.add_argument("--against", type=Path, help="a file that --out wrote")
    options = parser.parse_args()

    def chosen(cases):
        return {name: value for name, value in cases.items() if re.search(options.only, name)}

    recorded = json.loads(options.against.read_text(encoding="utf-8")) if options.against else None
    if recorded:
        refuse_other_machine(recorded["machine"])
    with tempfile.TemporaryDirectory(prefix="meshfold-bits-") as directory:
        program = bit_cases.Program(options.meshfold, Path(directory))
        prepare(program, options.data)
        cases = chosen(bit_cases.all_cases())
        if recorded is None:
            record_all(cases, program, options.out)
        elif not compare_all(cases, program, chosen(recorded["cases"])):
            sys.exit(1)


if __name__ == "__main__":
    try:
        main()
    except bit_cases.ProgramFailed as failure:
        sys.exit(f"record_bits.py: {failure}")
