#!/usr/bin/env bash
# Guess: ccache and precompiled headers add up: the header is parsed once, and unchanged files are not compiled at
#   all.
# Seen: with ccache's defaults a file that uses a precompiled header is never cached. Nothing is said; only the
#   statistics count "Could not use precompiled header".
# Why it matters: turning precompiled headers on to make a build faster takes ccache away from every later one.
# Instead: set sloppiness = pch_defines,time_macros, compile with -fpch-preprocess, and look at `ccache -sv`
#   afterwards.
. "$(dirname "$0")/common.sh"
need ccache ccache
need g++ g++
export CCACHE_DIR="$scratch/cache" CCACHE_CONFIGPATH="$scratch/ccache.conf"
unset CCACHE_SLOPPINESS
touch ccache.conf
ccache --version | head -1
g++ --version | head -1

echo '#include <vector>' >all.hpp
echo 'int first(const std::vector<int>& values) { return values.front(); }' >file.cpp
g++ -x c++-header all.hpp -o all.hpp.gch

# Compiles twice and counts: cacheable calls, hits.
twice() {
  ccache --zero-stats >/dev/null
  for _ in 1 2; do ccache g++ "$@" -c file.cpp -o file.o; done
  ccache --print-stats | awk '/^(direct|preprocessed)_cache_hit/ { hits += $2 } /^cache_miss/ { misses = $2 } /^could_not_use_precompiled/ { refused = $2 }
    END { printf "%d cacheable, %d found, %d refused", hits + misses, hits, refused }'
}
expect "without a precompiled header" "$(twice -include vector)" "2 cacheable, 1 found, 0 refused"
expect "with it" "$(twice -include all.hpp)" "0 cacheable, 0 found, 2 refused"
expect "with it and sloppiness" "$(CCACHE_SLOPPINESS=pch_defines,time_macros twice -fpch-preprocess -include all.hpp)" "2 cacheable, 1 found, 0 refused"
