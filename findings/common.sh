# shellcheck shell=bash
# Shared by the scripts in findings/: a temporary folder, pinned packages in it, and expectations. Sourced, not run.
# A script ends with 0 if all is as described, with 1 if the other software behaves in another way today, and with 2
# if that could not be tried.

set -euo pipefail
finding="$(basename "$0" .sh)"
scratch="$(mktemp -d)"
cd "$scratch"

finish() {
  local code=$?
  rm -rf "$scratch"
  case $code in
    0) echo "$finding: as described" ;;
    2) ;;
    *) echo "$finding: NOT as described (exit code $code)" >&2 ;;
  esac
}
trap finish EXIT

cannot() { echo "$finding: could not be tried: $*" >&2; exit 2; }

# What was seen is shown, and has to be what was expected.
expect() { # what, seen, expected
  printf '  %s: %s\n' "$1" "$2"
  [ "$2" = "$3" ] || { printf '%s: changed: %s was %s\n' "$finding" "$1" "$3" >&2; exit 1; }
}

# The same for Python: from expect import expect.
cat >expect.py <<PYTHON
import sys

def expect(what, seen, expected=True):
    print(f"  {what}: {seen}", flush=True)
    if seen != expected:
        sys.exit(f"$finding: changed: {what} was {expected}")
PYTHON

need() { # command, its Debian package
  command -v "$1" >/dev/null || cannot "there is no $1 (Debian: apt-get install $2)"
}

install() { # pip arguments...
  "$python" -m pip install --quiet --disable-pip-version-check --no-input "$@" || cannot "pip could not install $*"
}

# A fresh virtual environment with these packages; $python is its interpreter.
packages() { # pip arguments...
  local home
  home="$(mktemp -d "$scratch/environment.XXXX")"
  python3 -m venv "$home" || cannot "python3 -m venv failed (Debian: apt-get install python3-venv)"
  python="$home/bin/python"
  install "$@"
}

# The same with torch, a download of 2.4 GB. FINDINGS_PYTHON names an interpreter that has this version of it.
torch_packages() { # version of torch, further pip arguments...
  local version="$1" home="$scratch/environment"
  shift
  "${FINDINGS_PYTHON:-python3}" -m venv "$home" || cannot "python3 -m venv failed (Debian: apt-get install python3-venv)"
  python="$home/bin/python"
  if [ -n "${FINDINGS_PYTHON:-}" ]; then
    "$FINDINGS_PYTHON" -c 'import sysconfig; print(sysconfig.get_path("purelib"))' >"$(echo "$home"/lib/python3*/site-packages)/findings.pth"
  else
    install "torch==$version"
  fi
  [ $# -eq 0 ] || install "$@"
  [ "$("$python" -W ignore -c 'import torch; print(torch.__version__.split("+")[0])')" = "$version" ] ||
    cannot "FINDINGS_PYTHON has no torch $version"
}

# $mpirun starts any number of ranks on few cores, as root too; $mpi_version is Open MPI's.
need_open_mpi() {
  need mpirun openmpi-bin
  need mpicc libopenmpi-dev
  mpi_version="$(mpirun --version | sed -n 's/^mpirun (Open MPI) //p')"
  [ -n "$mpi_version" ] || cannot "mpirun is not Open MPI's"
  mpirun=(mpirun --oversubscribe --bind-to none)
  [ "$(id -u)" -ne 0 ] || mpirun+=(--allow-run-as-root)
}
