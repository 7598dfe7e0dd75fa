#!/usr/bin/env bash
# Guess: at::parallel_for from ATen/Parallel.h uses LibTorch's threads; which compiler flags its caller has is no
#   matter.
# Seen: it is a template in a header, and in a file that is compiled without -fopenmp it calls the function once, for
#   the whole range, on one thread. at::get_num_threads() still says 2; nothing warns when compiling, linking or
#   running.
# Why it matters: kernels of one's own run on one core of many, are right in every test, and are merely slow.
# Instead: link OpenMP::OpenMP_CXX to each target that calls it, and let a test count the pieces.
. "$(dirname "$0")/common.sh"
need g++ g++

torch_packages 2.11.0
torch="$("$python" -W ignore -c 'import os, torch; print(os.path.dirname(torch.__file__))')"
"$python" -W ignore -c 'import torch; print("torch", torch.__version__)'
g++ --version | head -1

cat >count.cpp <<'CPP'
#include <ATen/Parallel.h>

#include <atomic>
#include <cstdio>

int main() {
  at::set_num_threads(2);
  std::atomic<int> pieces = 0;
  at::parallel_for(0, 1000, 1, [&](int64_t, int64_t) { ++pieces; });
  std::printf("%d threads, %d pieces\n", at::get_num_threads(), pieces.load());
}
CPP
count() { # compiler flags...
  g++ -std=c++20 "$@" count.cpp -I"$torch/include" -o count "$torch/lib/libtorch_cpu.so" "$torch/lib/libc10.so" \
    -Wl,--unresolved-symbols=ignore-in-shared-libs -Wl,-rpath,"$torch/lib"
  ./count
}
expect "a range of 1,000 compiled without -fopenmp" "$(count -Wall -Wextra)" "2 threads, 1 pieces"
expect "compiled with it" "$(count -fopenmp)" "2 threads, 2 pieces"
