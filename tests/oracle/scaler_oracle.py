#!/usr/bin/env python3
"""Medians and quartile ranges as numpy computes them in float64, for src/batch/quartiles.c.

    scaler_oracle.py            writes scaler.txt beside this file
    scaler_oracle.py --check    computes it again and compares with what is committed

Values come from Philox by formulas that tests/batch/test_scaler.c repeats.  Graph g has 5 rows of nodes and 3 of edges
and is an attack when g % 3 == 1; a case is all graphs up to the benign one with its number."""
import hashlib
import os
import sys

import numpy as np

from gat_oracle import HERE, TEST, same, stream, symmetric, unit

SEED, COLUMNS, ROWS = 42, 6, {"node": 5, "edge": 3}
CASES = (1, 2, 3, 4, 101)  # benign graphs: every remainder of (rows - 1) / 4, and many


def column(kind, k, n):
    """n values of column k: smooth, wide, few whole numbers, nearly all zero, half zero, small and smaller."""
    w = stream(n, SEED, TEST, 100 * (kind == "edge") + k)
    u = symmetric(w)
    if k == 0:
        return u
    if k == 1:
        return u * u * u * np.float32(1000) - np.float32(3)
    if k == 2:
        return np.floor(np.float32(8) * unit(w))
    if k == 3:
        return (unit(w) < np.float32(0.125)).astype(np.float32)
    if k == 4:
        return np.where(w & np.uint64(1), u, np.float32(0))
    return np.ldexp(u, -(w & np.uint64(31)).astype(np.int32))


def write():
    out = []
    for benign in CASES:
        graphs = np.arange(3 * benign)
        graphs = graphs[:np.flatnonzero(np.cumsum(graphs % 3 != 1) == benign)[0] + 1]
        for kind, rows in ROWS.items():
            used = np.repeat(graphs % 3 != 1, rows)
            for k in range(COLUMNS):
                v = column(kind, k, len(used))[used].astype(np.float64)
                low, median, high = np.quantile(v, [0.25, 0.5, 0.75])
                assert median == np.median(v) or abs(median - np.median(v)) < 1e-15 * abs(v).max()
                out.append("%s %d %d %.17g %.17g" % (kind, benign, k, median, high - low))
    return out


def main():
    digest = hashlib.sha256(open(__file__, "rb").read()).hexdigest()
    lines = [f"# numpy {np.__version__}, float64, scaler_oracle.py sha256 {digest}"] + write()
    path = os.path.join(HERE, "scaler.txt")
    if "--check" not in sys.argv[1:]:
        open(path, "w").write("\n".join(lines) + "\n")
        return 0
    old = open(path).read().splitlines()
    good = same(old[1:], lines[1:]) and old[0].split()[-1] == digest
    print(("ok - " if good else "not ok - ") + "oracle__scaler_is_what_numpy_computes")
    return not good


if __name__ == "__main__":
    sys.exit(main())
