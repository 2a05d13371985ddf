#!/bin/sh
# Let every target (or those named) grow its corpus for SECONDS (60), then keep of seeds and finds the smallest set that covers as much.
# The captures stay out of it: nothing of real data comes into the committed corpus.
#   [SECONDS_EACH=60] [BUILD=build] tests/fuzz/grow.sh [target ...]
set -eu
cd "$(dirname "$0")/../.."
here=tests/fuzz build=${BUILD:-build} grown=$(mktemp -d)
trap 'rm -rf "$grown"' EXIT
CANIDS_BUILD=$build CANIDS_SHARED=/nonexistent CANIDS_FUZZ_SECONDS=${SECONDS_EACH:-60} CANIDS_FUZZ_KEEP=$grown CANIDS_FUZZ_ONLY="$*" \
    /usr/bin/python3 $here/test_fuzz.py
for target in ${*:-$(ls "$grown")}; do
    mkdir -p "$grown/least" "$grown/scratch"
    CANIDS_CONFIG=$PWD/config CANIDS_FUZZ_SCRATCH=$grown/scratch "$build-fuzz/$here/fuzz_$target" -merge=1 -max_len=2000 "$grown/least" \
        "$here/corpus/$target" "$grown/$target" 2>/dev/null
    # Names of seeds written by hand say what they are: those that the merge kept under a hash keep their own.
    [ -d "$here/corpus/$target" ] || mkdir -p "$here/corpus/$target"
    for seed in "$here/corpus/$target"/*; do
        case ${seed##*/} in [0-9a-f]*) [ "${#seed}" -gt 60 ] && rm -f "$seed" ;; esac
    done
    # Small finds first, at most 24 KiB a target.
    find "$grown/least" -type f -size -3k -printf '%s %p\n' | sort -n | awk '{ n += $1; if (n > 24576) exit; print $2 }' |
        while read -r f; do
            cmp -s "$f" "$here/corpus/$target/$(basename "$f")" || cp "$f" "$here/corpus/$target/"
        done
    rm -rf "$grown/least" "$grown/scratch"
done
du -sb $here/corpus
