# Shared by scripts/build, test and quickstart: where things are, and how what is missing gets here. Sourced, not run.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache="${MESHFOLD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/meshfold}"
venv="$cache/venv"
script="scripts/$(basename "$0")"

say() { printf '%s: %s\n' "$script" "$*"; }
fail() { printf '%s: error: %s\n' "$script" "$*" >&2; exit 1; }
# A command that dies half-way still ends with one clear line.
trap 'code=$?; printf "%s: error: line %s failed (exit %s): %s\n" "$script" "$LINENO" "$code" "$BASH_COMMAND" >&2; exit "$code"' ERR

debian_packages=(g++ cmake ninja-build ccache pkg-config python3 python3-venv openmpi-bin libopenmpi-dev libhdf5-openmpi-dev
  libsentencepiece-dev libboost-program-options-dev libutf8proc-dev nlohmann-json3-dev libxxhash-dev libssl-dev zlib1g-dev libgtest-dev)

missing_packages() {
  local package
  for package in "${debian_packages[@]}"; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || echo "$package"
  done
}

# Says what is still to be downloaded and built, before any of it begins. The minutes are those of 2 cores.
say_what_comes() { # program, data sets with their megabytes as name=MB...
  local program="$1" packages megabytes=0 minutes=0 parts=() data
  shift
  packages=$(missing_packages | wc -l)
  [ "$packages" -eq 0 ] || { megabytes=$((megabytes + 120)) minutes=$((minutes + 1)); parts+=("$packages Debian packages (up to 120 MB)"); }
  [ -n "${MESHFOLD_TORCH_DIR:-}" ] || [ -e "$(stamp_of libtorch)" ] || { megabytes=$((megabytes + 545)) minutes=$((minutes + 1)); parts+=("LibTorch (545 MB)"); }
  for data in "$@"; do
    [ -e "$cache/data/${data%%=*}" ] || [ -e "$cache/data/${data%%=*}.csv" ] || { megabytes=$((megabytes + ${data##*=})); parts+=("${data%%=*} (${data##*=} MB)"); }
  done
  [ -e "$program" ] || { minutes=$((minutes + 7)); parts+=("the program, compiled in about 7 minutes on 2 cores"); }
  [ ${#parts[@]} -gt 0 ] || return 0
  local list download=""
  list=$(printf ', %s' "${parts[@]}")
  [ "$megabytes" -eq 0 ] || download="$megabytes MB to download, "
  say "to come: ${list:2}; $download$minutes minutes or so before the run itself"
}

# Installs the Debian packages that are not there yet, as root or through sudo.
install_packages() {
  local missing
  mapfile -t missing < <(missing_packages)
  [ ${#missing[@]} -eq 0 ] && return
  command -v apt-get >/dev/null || fail "no apt-get here: install ${missing[*]} by your own means, then scripts/build --no-install"
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || fail "packages are missing and there is neither root nor sudo: ${missing[*]} (or use scripts/build --no-install)"
    as_root=(sudo)
  fi
  say "installing Debian packages: ${missing[*]}"
  mkdir -p "$cache"
  { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
    >"$cache/apt.log" 2>&1 || fail "apt-get failed: $(grep -E '^E:' "$cache/apt.log" | head -1) (whole log: $cache/apt.log)"
}

# --no-install: names what is missing, with a hint, and changes nothing.
check_tools() {
  local missing=()
  command -v cmake >/dev/null || missing+=("cmake >= 3.25")
  command -v ninja >/dev/null || missing+=("ninja")
  command -v c++ >/dev/null || command -v g++ >/dev/null || missing+=("a C++20 compiler (g++ >= 12)")
  command -v mpicc >/dev/null || missing+=("Open MPI 4.1 or 5 (mpicc on PATH)")
  command -v mpirun >/dev/null || missing+=("mpirun")
  command -v pkg-config >/dev/null || missing+=("pkg-config")
  command -v python3 >/dev/null || missing+=("python3 >= 3.10 with venv")
  local module
  for module in libutf8proc libxxhash libcrypto zlib sentencepiece; do
    ! command -v pkg-config >/dev/null || pkg-config --exists "$module" || missing+=("$module (pkg-config file; set PKG_CONFIG_PATH)")
  done
  [ ${#missing[@]} -eq 0 ] || fail "missing: $(printf '%s; ' "${missing[@]}")load modules, activate conda or set CMAKE_PREFIX_PATH and PKG_CONFIG_PATH"
}

stamp_of() { # name
  echo "$venv/.installed-$1-$(cat scripts/torch-requirements.txt scripts/oracle-requirements.txt | sha256sum | cut -c1-16)"
}

# pip into the project's own virtual environment, once per requirements file.
pip_once() { # name, size, pip arguments...
  local name="$1" size="$2" stamp
  shift 2
  stamp=$(stamp_of "$name")
  [ -e "$stamp" ] && return
  [ -x "$venv/bin/python" ] || { mkdir -p "$cache" && python3 -m venv "$venv"; } || fail "python3 -m venv failed (Debian: python3-venv)"
  say "installing into $venv: $name ($size)"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --no-warn-conflicts "$@" ||
    fail "pip could not install $name; the network and free disk space are the usual causes"
  touch "$stamp"
}

# LibTorch. MESHFOLD_TORCH_DIR names another one of the same version (a module's, conda's).
ensure_torch() {
  if [ -z "${MESHFOLD_TORCH_DIR:-}" ]; then
    pip_once libtorch "545 MB download, 1.4 GB on disk" --no-deps --require-hashes --only-binary :all: --requirement scripts/torch-requirements.txt
    MESHFOLD_TORCH_DIR="$(echo "$venv"/lib/python3*/site-packages/torch)"
  fi
  [ -e "$MESHFOLD_TORCH_DIR/lib/libtorch_cpu.so" ] || fail "no libtorch_cpu.so in $MESHFOLD_TORCH_DIR/lib"
  export MESHFOLD_TORCH_DIR
}

# The Python programs that tests compare with. Beside a CUDA 13.0 toolkit `import torch` needs three small wheels; without one, all of torch's own.
ensure_oracles() {
  pip_once oracles "60 MB download" --requirement scripts/oracle-requirements.txt
  if [ -e /usr/local/cuda/lib64/libcudart.so.13 ]; then
    pip_once torch-beside-toolkit "230 MB download" --no-deps nvidia-cufile==1.15.1.6 nvidia-cusparselt-cu13==0.8.0 nvidia-nvshmem-cu13==3.4.5
    export LD_LIBRARY_PATH="/usr/local/cuda/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
  else
    pip_once torch-with-dependencies "2.4 GB download, 5 GB on disk: no CUDA 13.0 toolkit is here" torch==2.11.0
  fi
  oracle_python="$venv/bin/python"
}

fetch() { # data sets...
  local name
  for name in "$@"; do
    "$venv/bin/python" scripts/fetch_data.py "$name" --out "$cache/data" >"$cache/fetch.log" 2>&1 || fail "$(tail -1 "$cache/fetch.log")"
  done
}

build_preset() { # preset, target, cmake arguments...
  local preset="$1" target="$2"
  shift 2
  export CCACHE_BASEDIR="$PWD" CCACHE_NOHASHDIR=1  # a second checkout of the same sources compiles nothing again
  mkdir -p "build/$preset"
  cmake --preset "$preset" -DMESHFOLD_TORCH_DIR="$MESHFOLD_TORCH_DIR" "$@" >"build/$preset/configure.log" 2>&1 ||
    fail "cmake failed: $(grep -A6 -m1 'CMake Error' "build/$preset/configure.log" | tr -s '\n ' ' ') (whole log: build/$preset/configure.log)"
  cmake --build "build/$preset" --target "$target" || fail "the build failed; the compiler's words are above"
}

# mpirun on one machine: more ranks than cores is fine, and ranks that wait give way.
launch() { # ranks, program, arguments...
  local ranks="$1"
  shift
  local flags=(--oversubscribe --bind-to none --mca mpi_yield_when_idle 1)
  [ "$(id -u)" -ne 0 ] || flags+=(--allow-run-as-root)
  mpirun "${flags[@]}" -n "$ranks" "$@"
}
