#!/usr/bin/python3
"""Half precision against numpy: all 65,536 halves, a million random floats and the corners."""
import os
import subprocess
import sys
import tempfile

import numpy as np

PROGRAM = os.path.join(os.environ.get("CANIDS_BUILD", "build"), "tests/store/test_half")


def convert(what, given, result):
    with tempfile.TemporaryDirectory() as folder:
        source, target = os.path.join(folder, "in"), os.path.join(folder, "out")
        given.tofile(source)
        subprocess.run([PROGRAM, what, source, target], check=True, timeout=30)
        return np.fromfile(target, result)


def report(name, bad, why):
    print("ok - " + name if not len(bad) else "not ok - %s: %d differ, first %s" % (name, len(bad), why(bad[0])))
    return len(bad) > 0


def main():
    if not os.path.exists(PROGRAM):
        print("not ok - half__has_its_program: %s is missing, run make tests" % PROGRAM)
        return 1
    halves = np.arange(65536, dtype=np.uint16)
    with np.errstate(all="ignore"):
        wide = halves.view(np.float16).astype(np.float32)
        got = convert("to", halves, np.float32)
        nan = np.isnan(wide)
        bad = np.flatnonzero(np.where(nan, ~np.isnan(got), wide.view(np.uint32) != got.view(np.uint32)))
        failed = report("half__to_float_equals_numpy", bad, lambda i: "%04x" % i)

        random = np.random.default_rng(1)
        x = np.concatenate([
            random.integers(0, 2**32, 500000, dtype=np.uint32).view(np.float32), (random.normal(size=200000) * 1000).astype(np.float32),
            (random.uniform(-1, 1, 200000) * 2.0**-14).astype(np.float32), wide[~nan], np.nextafter(wide[~nan], np.float32(np.inf)),
            np.nextafter(wide[~nan], np.float32(-np.inf)), ((wide[:31743] + wide[1:31744]) / 2).astype(np.float32)])
        x = x[:len(x) // 8 * 8 + 3] if len(x) % 8 != 3 else x  # a remainder for the path of one
        want = np.clip(x, -65504, 65504).astype(np.float16).view(np.uint16)
        half = convert("from", x, np.uint16)
        bad = np.flatnonzero(np.where(np.isnan(x), (half & 0x7fff) <= 0x7c00, want != half))
        failed += report("half__from_%d_floats_equals_numpy" % len(x), bad, lambda i: "%r: %04x, not %04x" % (x[i], half[i], want[i]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
