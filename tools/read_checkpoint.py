#!/usr/bin/python3
"""What is in a checkpoint, with h5py alone:  python3 tools/read_checkpoint.py runs/demo/best.h5"""
import sys

import h5py
import numpy as np

with h5py.File(sys.argv[1], "r") as f:
    print("step %d, epoch %d, best epoch %d; features %s, vocabulary of %d; trained on store %s" % (
        f.attrs["step"], f.attrs["epoch"], f.attrs["best_epoch"] + 1, f.attrs["features"].decode(), len(f["vocabulary"]),
        f.attrs["store_tree_sha256"].decode()))
    print("best on validation %.6f with loss %.6f; threshold of these weights %.6f" % tuple(f["score"][:3]))
    w = f["weight"][:]
    for name, rows, cols, first in zip(f["tensor_name"], f["tensor_rows"], f["tensor_cols"], f["tensor_first"]):
        tensor = w[first:first + rows * cols].reshape(rows, cols)
        print("  %-24s (%d, %d) norm %.6g" % (name.decode(), rows, cols, np.linalg.norm(tensor.astype(np.float64))))
    print("%d parameters" % len(w))
