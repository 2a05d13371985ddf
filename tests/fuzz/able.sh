#!/bin/sh
# Can this compiler build a fuzz target?  Says in one line what is missing when it cannot.
cc=${1:-clang}
command -v "$cc" >/dev/null 2>&1 || { echo "no $cc: install Debian clang and libclang-rt-14-dev"; exit 1; }
echo 'int LLVMFuzzerTestOneInput(const unsigned char *d, unsigned long n) { return d && n ? 0 : 0; }' |
    "$cc" -fsanitize=fuzzer,address,undefined -x c - -o /dev/null 2>/dev/null && exit 0
echo "$cc has no libFuzzer: install Debian libclang-rt-14-dev"
exit 1
